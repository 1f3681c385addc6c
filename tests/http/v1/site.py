"""A whole installation behind its own HTTP application, with an identity provider, for callers from outside."""

from copy import deepcopy
from dataclasses import dataclass, field, replace
from ipaddress import ip_network

from flask import Flask

from api.app import create_api_app
from exchange import agencies
from exchange.providers.addresses import AddressPolicy
from exchange.providers.http import LiveLimits, LiveProviders
from tests.house import ANNA, BEN, HOUSING, HOUSING_LINES, House, build
from tests.http.oauth.openid import AUDIENCE, Provider
from tests.http.v1.caller import AgencyCaller, CitizenCaller

LOCAL = ip_network("127.0.0.1/32")
NOBODY = "VAL-999999-9"
ALL_SCOPES = ("attributes:request", "attributes:write", "requests:read", "catalogue:read", "audit:read", "audit:open")
LINES = [{"name": one.name, "form": one.form, "required": one.required} for one in HOUSING_LINES]
NAME = [{"name": "full_name"}]
ASKED = {
    "subject": {"scheme": "national-id", "id": ANNA.id},
    "agreement": "housing-benefit",
    "purpose": "housing_benefit",
    "attributes": LINES,
    "acting_officer": {"id": "officer-17", "role": "case worker"},
    "case_reference": "HB-2026-0042",
}


def asked(who=ANNA.id, **members):
    """The body of a request; members replaced."""
    return deepcopy(ASKED | {"subject": {"scheme": "national-id", "id": who}} | members)


@dataclass
class Site:
    """The house, its application, and who calls it."""

    house: House
    app: Flask
    provider: Provider
    count: int = field(default=0)

    @property
    def clock(self):
        return self.house.clock

    @property
    def exchange(self):
        return self.house.exchange

    @property
    def issuer(self):
        return self.house.services.config.public_url

    def http(self):
        return self.app.test_client()

    def agency(self, code=HOUSING, scope="attributes:request"):
        """A new client of an agency, registered."""
        self.count += 1
        caller = AgencyCaller(
            self.clock,
            self.http(),
            client_id=f"{code}-http-{self.count}",
            agency=code,
            issuer=self.issuer,
            scope=scope,
        )
        agencies.register_client(
            self.exchange, caller.client_id, code, caller.jwks(), list(ALL_SCOPES), self.house.clock()
        )
        return caller

    def citizen(self, who=ANNA):
        """A person's device."""
        return CitizenCaller(
            self.clock, self.http(), provider=self.provider, issuer=self.issuer, identifier=getattr(who, "id", who)
        )

    def consented(self, agency, who=ANNA, **narrower):
        """Ask and allow over HTTP; the consent's id and the request's."""
        request_id = agency.ask(asked(who.id)).json["id"]
        decided = self.citizen(who).decide(request_id, attributes=plain(LINES), **narrower)
        assert decided.status_code == 200, decided.text
        return decided.json["consent"], request_id

    def close(self):
        self.provider.close()
        self.house.close()


def plain(lines):
    """Lines as a citizen selects them."""
    return [{"name": one["name"], "form": one.get("form", "value")} for one in lines]


def open_site(folder, url, *, limits=None):
    """Build it on a migrated, empty database. Live providers on this machine may be called."""
    house = build(folder, url)
    provider = Provider(house.clock)
    services = house.services
    config = replace(
        services.config,
        openid_issuer=provider.issuer,
        openid_audience=AUDIENCE,
        openid_subject_claim="national_id",
        private_networks=(LOCAL,),
    )
    exchange = replace(
        services.exchange,
        live_providers=LiveProviders(
            issuer=services.exchange.issuer,
            signer=services.exchange.provider_signer,
            addresses=AddressPolicy(allowed=(LOCAL,)),
            limits=limits or LiveLimits(connect_seconds=1.0, read_seconds=1.0, total_seconds=2.0),
        ),
    )
    house.services = replace(services, config=config, exchange=exchange)
    return Site(house=house, app=create_api_app(house.services), provider=provider)


__all__ = ["ANNA", "BEN", "HOUSING", "LINES", "NAME", "NOBODY", "Site", "asked", "open_site", "plain"]
