"""Every way into the application: who may take it, and a call that would do something there.

The ways themselves come from the application's own map. What stands here are the exceptions, each by name: a way that
nobody has named is taken for guarded, and the tests knock at it.
"""

import re
from dataclasses import dataclass
from uuid import UUID

from tests.http.v1.site import LINES, asked, plain

ME = "me"
PUBLIC = {
    ("GET", "/healthz"): "a load balancer asks it",
    ("GET", "/readyz"): "an operator's monitoring asks it; states, no data",
    ("GET", "/docs"): "describes the interface",
    ("GET", "/docs/problems"): "describes the interface",
    ("GET", "/docs/style.css"): "describes the interface",
    ("GET", "/openapi.json"): "describes the interface",
    ("GET", "/.well-known/oauth-authorization-server"): "RFC 8414: clients begin here",
    ("GET", "/.well-known/oauth-protected-resource"): "RFC 9728: clients begin here",
    ("GET", "/oauth/jwks"): "public keys",
    ("POST", "/oauth/token"): "callers authenticate in the body",
    ("POST", "/oauth/par"): "callers authenticate in the body",
    ("GET", "/audit/checkpoint"): "the public log",
    ("GET", "/audit/vkey"): "the public log",
    ("GET", "/audit/tile/<int:level>/<path:index>"): "the public log: hashes",
    ("GET", "/audit/cosigned/checkpoint"): "the public log, as witnesses have seen it",
    ("GET", "/audit/cosigned/tile/<int:level>/<path:index>"): "the public log: hashes",
    ("GET", "/audit/proof/inclusion"): "the public log: hashes",
    ("GET", "/audit/proof/consistency"): "the public log: hashes",
}
SCOPES = {
    ("POST", "/v1/attribute-requests"): "attributes:request",
    ("GET", "/v1/attribute-requests/<uuid:request_id>"): "attributes:request",
    ("DELETE", "/v1/attribute-requests/<uuid:request_id>"): "attributes:request",
    ("GET", "/v1/attribute-requests/<uuid:request_id>/response"): "attributes:request",
    ("POST", "/v1/attribute-requests/<uuid:request_id>/receipt-acknowledgement"): "attributes:request",
    ("PUT", "/v1/subjects/attributes"): "attributes:write",
    ("POST", "/v1/subjects/attributes/batch"): "attributes:write",
    ("GET", "/v1/catalogue/attributes"): "catalogue:read",
    ("GET", "/v1/catalogue/purposes"): "catalogue:read",
    ("GET", "/v1/catalogue/agencies"): "catalogue:read",
    ("GET", "/audit/tile/entries/<path:index>"): "audit:read",
    ("GET", "/audit/cosigned/tile/entries/<path:index>"): "audit:read",
    ("GET", "/v1/me/requests"): ME,
    ("POST", "/v1/me/requests/<uuid:request_id>/decision"): ME,
    ("GET", "/v1/me/consents"): ME,
    ("POST", "/v1/me/consents/<uuid:consent_id>/withdraw"): ME,
    ("POST", "/v1/me/consents/<uuid:consent_id>/pause"): ME,
    ("POST", "/v1/me/consents/<uuid:consent_id>/resume"): ME,
    ("POST", "/v1/me/consents/<uuid:consent_id>/renew"): ME,
    ("GET", "/v1/me/disclosures"): ME,
    ("GET", "/v1/me/receipts/<uuid:consent_id>"): ME,
    ("GET", "/v1/me/audit"): ME,
    ("POST", "/v1/audit/entries/<uuid:entry_id>/open"): "audit:open",
}
RECORD = {
    "subject": {"scheme": "national-id", "id": "VAL-300001-1"},
    "attributes": [{"name": "full_name", "value": "Somebody Else"}],
}
OPENING = {"officer": "dpo-3", "role": "auditor", "reason": "a complaint about this entry"}
SHOWN = {"language": "en", "notice_version": "2026-1"}
BODIES = {
    ("POST", "/v1/attribute-requests"): asked(),
    ("PUT", "/v1/subjects/attributes"): RECORD,
    ("POST", "/v1/subjects/attributes/batch"): {"records": [RECORD]},
    ("POST", "/v1/me/requests/<uuid:request_id>/decision"): SHOWN | {"decision": "allow", "attributes": plain(LINES)},
    ("POST", "/v1/me/consents/<uuid:consent_id>/renew"): SHOWN,
    ("POST", "/v1/audit/entries/<uuid:entry_id>/open"): OPENING,
}
SOME_ID = UUID("019bf2a2-0000-7000-8000-000000000000")
KEY = "a-key-of-the-tests"


@dataclass(frozen=True)
class Way:
    """One method of one rule."""

    method: str
    rule: str
    arguments: tuple = ()

    @property
    def name(self):
        return self.method, self.rule

    @property
    def is_public(self):
        return self.name in PUBLIC

    def path(self, **arguments):
        """An address of this rule."""
        path = self.rule
        for name in self.arguments:
            value = arguments.get(name, {"level": 0, "index": "000"}.get(name, SOME_ID))
            path = re.sub("<[^>]*>", str(value), path, count=1)
        return path

    @property
    def body(self):
        return BODIES.get(self.name)

    def __str__(self):
        return f"{self.method} {self.rule}"


def ways(app):
    """All of them. HEAD comes with GET, and OPTIONS is answered by the framework."""
    found = []
    for rule in app.url_map.iter_rules():
        ordered = tuple(re.findall("<(?:[^>:]*:)?([^>]*)>", rule.rule))
        found += [Way(method, rule.rule, ordered) for method in sorted(rule.methods - {"HEAD", "OPTIONS"})]
    return found


def guarded(app):
    return [way for way in ways(app) if not way.is_public]
