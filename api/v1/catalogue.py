"""What can be asked: attributes with their forms, purposes with their legal bases, and the agencies."""

from typing import Any

from api.body import Blueprint
from api.oauth.protect import authenticate_agency
from api.oauth.scopes import Scope
from api.services import services
from api.v1.catalogue_schemas import AgencyList, AttributeList, PurposeList
from exchange.access import admit
from exchange.agencies import list_agencies
from exchange.catalogue import Catalogue

blueprint = Blueprint(
    "catalogue",
    __name__,
    url_prefix="/v1/catalogue",
    description="What can be asked, who holds it, which forms and legal bases are admitted. Scope `catalogue:read`.",
)

_SECURITY = [{"client": [Scope.CATALOGUE_READ.value]}]


@blueprint.route("/attributes")
@blueprint.doc(security=_SECURITY)
@blueprint.response(200, AttributeList)
def attributes() -> dict[str, Any]:
    """List the attributes that exist, and the forms in which each is given.

    A form is `value`, or something weaker that often is enough: `exists`, `equals`, `at_least`, `in_range`, or a part.
    """
    catalogue = _catalogue()
    return {
        "version": catalogue.version,
        "digest": catalogue.digest,
        "items": [
            {
                "name": attribute.name,
                "label": attribute.label,
                "description": attribute.description,
                "type": attribute.type,
                "classification": attribute.classification,
                "provider": attribute.provider,
                "forms": sorted(attribute.forms),
                "freshness_days": attribute.freshness_days,
                "live": attribute.live,
                "dpv": attribute.dpv,
            }
            for attribute in catalogue.attributes.values()
        ],
    }


@blueprint.route("/purposes")
@blueprint.doc(security=_SECURITY)
@blueprint.response(200, PurposeList)
def purposes() -> dict[str, Any]:
    """List the purposes that a request can have, and the legal bases that each admits."""
    catalogue = _catalogue()
    return {
        "version": catalogue.version,
        "digest": catalogue.digest,
        "items": [
            {
                "code": purpose.code,
                "label": purpose.label,
                "description": purpose.description,
                "dpv": purpose.dpv,
                "legal_bases": sorted(purpose.legal_bases),
                "retention_days": purpose.retention_days,
            }
            for purpose in catalogue.purposes.values()
        ],
    }


@blueprint.route("/agencies")
@blueprint.doc(security=_SECURITY)
@blueprint.response(200, AgencyList)
def agencies() -> dict[str, Any]:
    """List the agencies that ask or supply, and whether each may act at present."""
    _admit()
    with services().exchange.database.read() as connection:
        found = list_agencies(connection)
    return {
        "items": [
            {
                "code": agency.code,
                "name": agency.name,
                "status": agency.status.value,
                "jurisdiction": agency.profile.get("jurisdiction"),
                "url": agency.profile.get("url"),
            }
            for agency in found
        ]
    }


def _catalogue() -> Catalogue:
    _admit()
    exchange = services().exchange
    with exchange.database.read() as connection:
        return exchange.catalogue(connection)


def _admit() -> None:
    caller = authenticate_agency(Scope.CATALOGUE_READ.value)
    admit(services().exchange, caller, services().clock())
