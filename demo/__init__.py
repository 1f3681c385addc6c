"""The demonstration: the country of Valdoria, a running exchange, and a walk through its main job over HTTP.

Run it with ``make demo`` (or ``make demo ONCE=1``, which ends by itself). Reading order: ``people`` and ``registers``
(the invented country), ``installation`` and ``servers`` (setting up), ``agency`` and ``citizen`` (clients written on
public libraries only), ``walk`` (what is shown), ``first_request`` (a first integration, to copy).
"""
