"""Permissions that a person gives in the browser: pushed by an agency, decided by the person, redeemed for tokens.

Reading order: ``model`` (values), ``pushing``, ``deciding``, ``redeeming``, ``store``. The consent that comes of a
decision is the grant: nothing here says a second time whether it is in force (ADR 0022). Nothing here knows HTTP.
"""
