"""Everything that takes part in the code flow: an agency's web server, a person's browser, the provider, and us."""

import json
import re
import secrets
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlencode, urlsplit

from sqlalchemy import select
from werkzeug.test import Client as Browser

from api.app import create_api_app
from api.portal import create_portal_app, mounted
from consent.tables import consent
from exchange import agencies
from exchange.client_registration import ClientRegistration
from exchange.providers.addresses import AddressPolicy
from exchange.providers.http import LiveProviders
from tests.house import ANNA, HOUSING, build
from tests.http.oauth.clients import CLIENT_ASSERTION_TYPE, Client, b64u, changed, new_key, public_jwk
from tests.http.oauth.openid import AUDIENCE, Provider
from tests.http.v1.caller import AgencyCaller
from tests.http.v1.site import ALL_SCOPES, LOCAL

PUBLIC = "https://exchange.example"
REDIRECT_URI = "https://agency.example/back?page=1"
GRANTS = ("client_credentials", "authorization_code", "refresh_token")
LINES = [
    {"name": "full_name"},
    {"name": "birth_date", "form": "at_least:18"},
    {"name": "other_benefits", "form": "exists", "required": False},
]
DETAILS = {
    "type": "citizen_attributes",
    "agreement": "housing-benefit",
    "purpose": "housing_benefit",
    "attributes": LINES,
    "duration": "P6M",
    "message": "Your rent of this year",
}
VERIFIER = "v" * 50


class Pages(AgencyCaller):
    """An agency's web server: pushes, sends people off, redeems, asks with what it got."""

    def push_form(self, *, details=DETAILS, **changes):
        base = {
            "client_id": self.client_id,
            "response_type": "code",
            "redirect_uri": REDIRECT_URI,
            "state": "of the agency",
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
            "authorization_details": json.dumps([details]),
            "client_assertion_type": CLIENT_ASSERTION_TYPE,
            "client_assertion": changes.pop("assertion", None) or self.assertion(),
        }
        return changed(base, changes)

    def push(self, *, proof=None, headers=None, **changes):
        own = {} if proof is None else {"DPoP": proof}
        return self.http.post("/oauth/par", data=self.push_form(**changes), headers=own | (headers or {}))

    def pushed(self, **changes):
        answer = self.push(**changes)
        assert answer.status_code == 201, answer.text
        return answer.json["request_uri"]

    def ask_token(self, **changes):
        """One request for a token of its own."""
        return Client.ask(self, self.http, scope=self.scope, **changes)

    def redeem(self, code, *, proof=None, **changes):
        base = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": VERIFIER,
            "client_assertion_type": CLIENT_ASSERTION_TYPE,
            "client_assertion": changes.pop("assertion", None) or self.assertion(),
        }
        proof = proof or self.proof("POST", self.token_url)
        return self.http.post("/oauth/token", data=changed(base, changes), headers={"DPoP": proof})

    def refresh(self, token, **changes):
        base = {"grant_type": "refresh_token", "refresh_token": token, "redirect_uri": None, "code_verifier": None}
        return self.redeem(None, **(base | changes))


def challenge_of(verifier):
    import hashlib

    return b64u(hashlib.sha256(verifier.encode()).digest())


@dataclass
class Person:
    """A person with a browser of their own. Holds cookies; follows redirects step by step."""

    desk: "Desk"
    identifier: str = ANNA.id
    claims: dict = field(default_factory=dict)

    def __post_init__(self):
        self.browser = Browser(self.desk.wsgi)

    def get(self, path, **sent):
        return self.browser.get(path, base_url=PUBLIC, **sent)

    def open(self, request_uri, client_id=None, **more):
        """The address that the agency sends the browser to."""
        query = {"client_id": client_id or self.desk.pages.client_id, "request_uri": request_uri} | more
        return self.get("/oauth/authorize?" + urlencode(query))

    def sign_in(self, answer, **claims):
        """Sign in where ``answer`` leads; the answer to the way back."""
        assert answer.status_code == 303, answer.text
        known = {"national_id": self.identifier} | self.claims | claims
        return self.come_back(self.desk.provider.sign_in(answer.headers["Location"], **known))

    def come_back(self, query):
        return self.get("/oauth/authorize/callback?" + urlencode(query))

    def begin(self, request_uri, **claims):
        """Up to the question; its address."""
        answer = self.sign_in(self.open(request_uri), **claims)
        assert answer.status_code == 303, answer.text
        return answer.headers["Location"]

    def form(self, path):
        """The hidden fields of the question."""
        page = self.get(path)
        assert page.status_code == 200, page.text
        return dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page.text))

    def decide(self, path, decision="allow", *, facts=(), headers=None, **changes):
        form = changed(self.form(path) | {"decision": decision}, changes)
        return self.send(path, form, facts=facts, headers=headers)

    def send(self, path, form, *, facts=(), headers=None):
        own = {"Origin": PUBLIC, "Sec-Fetch-Site": "same-origin"} | (headers or {})
        sent = changed(own, {})
        return self.browser.post(path, base_url=PUBLIC, data=form | {"fact": list(facts)}, headers=sent)

    def allow(self, request_uri, **changes):
        """The whole way; what the agency gets back."""
        return answered(self.decide(self.begin(request_uri), **changes))


def answered(answer):
    """The parameters of the way back to the agency."""
    assert answer.status_code == 303, answer.text
    location = answer.headers["Location"]
    assert location.startswith("https://agency.example/back?page=1&"), location
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


@dataclass
class Desk:
    """The house behind both applications."""

    house: object
    provider: Provider
    wsgi: object
    api: object
    portal: object
    count: int = 0

    def __post_init__(self):
        self.pages = self.agency()

    @property
    def clock(self):
        return self.house.clock

    @property
    def exchange(self):
        return self.house.services.exchange

    def agency(self, code=HOUSING, *, redirect_uris=(REDIRECT_URI,), grants=GRANTS, jwks=None, jwks_uri=None):
        self.count += 1
        caller = Pages(
            self.clock,
            self.api.test_client(),
            client_id=f"{code}-pages-{self.count}",
            agency=code,
            issuer=PUBLIC,
            scope="attributes:request",
        )
        registration = ClientRegistration(grant_types=grants, redirect_uris=redirect_uris, jwks_uri=jwks_uri)
        agencies.register_client(
            self.exchange,
            caller.client_id,
            code,
            jwks or caller.jwks(),
            list(ALL_SCOPES),
            self.clock(),
            registration,
        )
        return caller

    def person(self, who=ANNA, **claims):
        return Person(self, getattr(who, "id", who), claims)

    def close(self):
        self.provider.close()
        self.house.close()


def open_desk(folder, url, **config_changes):
    """Build it on a migrated, empty database."""
    house = build(folder, url)
    provider = Provider(house.clock)
    key = new_key()
    provider.client_jwk = changed(public_jwk(key), {"key_ops": None})
    path = folder / "openid-client.json"
    path.write_text(json.dumps(private_jwk(key, kid="rp-1")))
    services = house.services
    config = replace(
        services.config,
        **(
            {
                "public_url": PUBLIC,
                "openid_issuer": provider.issuer,
                "openid_audience": AUDIENCE,
                "openid_subject_claim": "national_id",
                "openid_client_key_file": path,
                "private_networks": (LOCAL,),
            }
            | config_changes
        ),
    )
    exchange = replace(
        services.exchange,
        issuer=PUBLIC,
        live_providers=LiveProviders(
            issuer=PUBLIC, signer=services.exchange.provider_signer, addresses=AddressPolicy(allowed=(LOCAL,))
        ),
    )
    house.services = replace(services, config=config, exchange=exchange)
    api, portal = create_api_app(house.services), create_portal_app(house.services)
    return Desk(house=house, provider=provider, wsgi=mounted(api, portal), api=api, portal=portal)


def private_jwk(key, **members):
    import jwt

    made = jwt.algorithms.ECAlgorithm.to_jwk(key, as_dict=True)
    return changed(made, {"key_ops": None}) | {"alg": "ES256", "use": "sig"} | members


def asked(**members):
    """The body of a request with a token that names the person."""
    return {
        "agreement": "housing-benefit",
        "purpose": "housing_benefit",
        "attributes": [{"name": "full_name"}],
        "acting_officer": {"id": "officer-17", "role": "case worker"},
        "case_reference": "HB-2026-0042",
    } | members


def some_key():
    """An Idempotency-Key."""
    return secrets.token_urlsafe(12)


def decisions(desk):
    with desk.exchange.database.read() as connection:
        return [row.status for row in connection.execute(select(consent.c.status))]
