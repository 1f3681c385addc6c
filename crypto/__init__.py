"""Cryptographic primitives of Citizen Data Exchange: bytes in, bytes out.

This package reads no file, opens no socket, knows no domain object and no database. It depends on the standard library
and on ``cryptography`` alone, so that it can be audited by itself. Import the modules; this file exports nothing.
"""
