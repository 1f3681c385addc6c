"""Brokers attribute requests between agencies and keeps the proof of what happened.

Reading order: ``model``, ``catalogue``, ``agreements``, ``policy`` (the decision, pure), ``requests`` (the main
job), ``consents``, ``disclosures``, ``subjects``, ``providers``, ``uow`` (one transaction, nothing unaudited),
``audit`` (the transparency log). May import ``consent`` and ``crypto``; knows nothing of HTTP servers.
"""
