"""Tokens and keys that our own code would never make, put together from their parts."""

import json
from base64 import urlsafe_b64encode

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256


def b64u(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value):
    return b64u(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def part(value):
    """A header or payload: bytes and text as they are, anything else as JSON."""
    if isinstance(value, str):
        value = value.encode()
    return b64u(value if isinstance(value, bytes) else json.dumps(value).encode())


def token(header, payload, signer):
    """A JWS over any header; ``signer`` turns the signing input into a signature."""
    signed = f"{part(header)}.{part(payload)}"
    return f"{signed}.{b64u(signer(signed.encode()))}"


def rsa_jwk(key, **members):
    numbers = key.public_key().public_numbers()
    return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e), **members}


def ps256(key, salt_length=32):
    pss = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=salt_length)
    return lambda message: key.sign(message, pss, SHA256())


def rs256(key):
    return lambda message: key.sign(message, padding.PKCS1v15(), SHA256())


RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
