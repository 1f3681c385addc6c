"""The code flow below HTTP: pushing, deciding, redeeming, as the endpoints and the portal do it."""

from datetime import timedelta
from hashlib import sha256
from uuid import UUID

from crypto.encoding import b64u_encode
from crypto.ids import random_bytes
from exchange import access, requests
from exchange.access import SESSION, NewToken, SingleUse
from exchange.agreement_model import AgreementLine
from exchange.authorization import deciding, pushing, redeeming
from exchange.authorization.model import Permission, Pushed, PushedRequest
from exchange.client_registration import ClientRegistration
from exchange.model import GRANTOR, AttributeRequest, Caller, Citizen, RequestedAttribute
from tests.house import ANNA, HOUSING_LINES

REDIRECT_URI = "https://agency.example/back?page=1"
CODE_FLOW = {
    "registration": ClientRegistration(
        grant_types=("client_credentials", "authorization_code", "refresh_token"), redirect_uris=(REDIRECT_URI,)
    )
}
VERIFIER = "v" * 43
CHALLENGE = b64u_encode(sha256(VERIFIER.encode()).digest())
HOUSING_PERMISSION = Permission(
    agreement="housing-benefit",
    purpose="housing_benefit",
    lines=tuple(AgreementLine(name=one.name, form=one.form, required=one.required) for one in HOUSING_LINES),
    duration="P6M",
)
PARKING_PERMISSION = Permission(
    agreement="resident-parking",
    purpose="resident_parking",
    lines=(AgreementLine(name="full_name", form="value", required=True),),
    uses=1,
)
SHOWN = deciding.Shown(language="en", notice_version="2026-1")


def rows(house, statement):
    with house.exchange.database.read() as connection:
        return connection.execute(statement).all()


def use(house, kind="client-assertion"):
    """A single-use value that nobody has used."""
    return SingleUse(kind=kind, digest=random_bytes(32), expires_at=house.clock() + timedelta(minutes=5))


def record_of(house, client):
    with house.exchange.database.read() as connection:
        record = access.client_for_authentication(connection, client.id)
    assert record is not None
    return record


def push(house, client, permission=HOUSING_PERMISSION, *, jkt=None, uses=None, **members):
    """One push; its outcome."""
    request = PushedRequest(
        permission=permission, **({"redirect_uri": REDIRECT_URI, "code_challenge": CHALLENGE, "state": "s"} | members)
    )
    uses = [use(house)] if uses is None else uses
    return pushing.push(house.exchange, record_of(house, client), request, jkt=jkt, uses=uses, now=house.clock())


def pushed(house, client, permission=HOUSING_PERMISSION, **members) -> UUID:
    """A pushed request that somebody begins with: its id."""
    outcome = push(house, client, permission, **members)
    assert isinstance(outcome, Pushed), outcome
    begun = pushing.find_pushed(house.exchange, outcome.secret, client_id=client.id, now=house.clock())
    assert begun is not None
    return begun.id


def session(house, who=ANNA):
    """A session of a person in the browser."""
    now = house.clock()
    token = NewToken(
        jti=f"session:{random_bytes(16).hex()}",
        jkt=SESSION,
        scopes=("me",),
        issued_at=now,
        expires_at=now + timedelta(minutes=40),
        subject_ref=house.people[who],
    )
    with house.exchange.database.write() as connection:
        access.issue_token(connection, token)
        connection.commit()
    return Citizen(subject_ref=house.people[who], token_digest=access.token_digest(token.jti), jkt=SESSION)


def allowed(house, client, request_id, who=ANNA, *, leave_out=(), citizen=None):
    """The person allows all, less some."""
    found = pushing.find_begun(house.exchange, request_id, house.clock())
    lines = () if found is None else found.request.permission.lines
    return deciding.allow(
        house.exchange,
        citizen or session(house, who),
        request_id,
        selection=[(one.name, one.form) for one in lines if one.name not in leave_out],
        shown=SHOWN,
        now=house.clock(),
    )


def refused(house, request_id, who=ANNA):
    return deciding.refuse(house.exchange, session(house, who), request_id, shown=SHOWN, now=house.clock())


def new_token(house, client, jkt=None):
    now = house.clock()
    return NewToken(
        jti=random_bytes(16).hex(),
        jkt=jkt or client.dpop.public_key().thumbprint,
        scopes=("attributes:request",),
        issued_at=now,
        expires_at=now + timedelta(minutes=5),
        client_id=client.id,
    )


def redeemed(house, client, code, *, verifier=VERIFIER, redirect_uri=REDIRECT_URI, jkt=None, uses=None):
    """The client presents a code; what comes of it."""
    return redeeming.redeem(
        house.exchange,
        record_of(house, client),
        redeeming.Presented(code=code, redirect_uri=redirect_uri, verifier=verifier),
        new_token(house, client, jkt),
        uses=[use(house), use(house, "dpop-proof")] if uses is None else uses,
        now=house.clock(),
    )


def refreshed(house, client, secret, *, jkt=None):
    return redeeming.refresh(
        house.exchange,
        record_of(house, client),
        secret,
        new_token(house, client, jkt),
        uses=[use(house), use(house, "dpop-proof")],
        now=house.clock(),
    )


def granted(house, client, permission=HOUSING_PERMISSION, who=ANNA):
    """The whole way to a token."""
    outcome = redeemed(house, client, allowed(house, client, pushed(house, client, permission), who).code)
    assert isinstance(outcome, redeeming.Granted), outcome
    return outcome


def caller(house, client, token):
    """A caller with that token and a fresh proof."""
    return Caller(
        token_digest=access.token_digest(token.jti),
        client_id=client.id,
        jkt=token.jkt,
        scopes=frozenset(token.scopes),
        proof_digest=random_bytes(32),
        proof_expires_at=house.clock() + timedelta(minutes=5),
    )


PARKING_ASKED = {"agreement": "resident-parking", "purpose": "resident_parking"}


def ask_with(house, client, granted, request, *, key=None):
    """One request with the token of a permission."""
    return requests.submit(
        house.exchange,
        caller(house, client, granted.token),
        request,
        idempotency_key=key or random_bytes(8).hex(),
        body_digest=sha256(repr(request).encode()).digest(),
        now=house.clock(),
    )


def asked(*names, agreement="housing-benefit", purpose="housing_benefit", subject=GRANTOR):
    """A request under the permission that the token stands for."""
    lines = [one for one in HOUSING_LINES if one.name in names] or [RequestedAttribute(name=name) for name in names]
    return AttributeRequest(
        subject=subject,
        agreement=agreement,
        purpose=purpose,
        attributes=tuple(lines),
        acting_officer="officer-17",
        officer_role="case worker",
        case_reference="HB-2026-0042",
    )
