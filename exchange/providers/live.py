"""Ask the agencies that answer live about a person: each gets only its own attributes, under the name that it knows.

Called outside any transaction, since an answer may take seconds.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import Connection, select

from crypto import canonical
from crypto.fields import open_field, sealed_kid
from exchange.catalogue_model import Attribute
from exchange.errors import ProviderError, ProviderUnavailableError
from exchange.model import Agency, HeldValue, Status, SubjectName
from exchange.providers.values import UNAVAILABLE
from exchange.tables import agency, subject_identifier

if TYPE_CHECKING:
    from exchange.context import Exchange


def fetch_live(
    exchange: "Exchange",
    *,
    subject_ref: UUID,
    attributes: Sequence[Attribute],
    request_id: UUID,
    purpose: str,
    now: datetime,
) -> dict[str, HeldValue]:
    """What the agencies answer, by name of attribute; all of it or an error.

    Args:
        exchange: the parts.
        subject_ref: the person.
        attributes: live ones, of any number of agencies.
        request_id: the request that this is for.
        purpose: purpose code.
        now: the time of the use case.

    Raises:
        ProviderUnavailableError: an agency is suspended, down or too slow, or its endpoint is not usable.
        ProviderProtocolError: an agency's answer is not one to this question.
        SubjectErasedError: the person has no key any more.
    """
    codes = sorted({one.provider for one in attributes})
    with exchange.database.read() as connection:
        names = identifiers(exchange, connection, subject_ref)
        agencies = _agencies(connection, codes)
    held: dict[str, HeldValue] = {}
    for code in codes:
        theirs = [one for one in attributes if one.provider == code]
        try:
            if code not in agencies:
                raise ProviderUnavailableError("the provider is not registered, or suspended")
            provider = exchange.live_providers.of(agencies[code])
            name = _name_for(names, provider.endpoint.scheme)
            if name is None:  # the person has no name that this agency would know
                held |= {one.name: HeldValue(name=one.name, provider=code, state=UNAVAILABLE) for one in theirs}
            else:
                held |= provider.fetch(subject=name, attributes=theirs, purpose=purpose, request_id=request_id, now=now)
        except ProviderError as exc:
            exc.provider = code
            raise
    return held


def _name_for(names: Sequence[SubjectName], scheme: str | None) -> SubjectName | None:
    """The one identifier that the agency knows the person by; no other is shown to it, and none is guessed."""
    if scheme is None and len(names) > 1:
        raise ProviderUnavailableError("the provider's profile must say which identifiers it knows (scheme)")
    return next((name for name in names if scheme in (None, name.scheme)), None)


def identifiers(exchange: "Exchange", connection: Connection, subject_ref: UUID) -> list[SubjectName]:
    """A person's identifiers, the oldest first.

    Raises:
        SubjectErasedError: the person has no key any more.
    """
    rows = connection.execute(
        select(subject_identifier.c.id, subject_identifier.c.version, subject_identifier.c.ct)
        .where(subject_identifier.c.subject_ref == subject_ref)
        .order_by(subject_identifier.c.id)
    ).all()
    newest = exchange.keyring.load(connection, subject_ref)
    names = []
    for row in rows:
        kid = sealed_kid(row.ct)
        key = newest if kid == newest.kid else exchange.keyring.load(connection, subject_ref, kid=kid)
        address = exchange.keyring.address(
            subject_identifier.name, "ct", subject_ref=subject_ref, record_id=row.id, version=row.version
        )
        opened = canonical.decode(open_field(key, row.ct, address=address))
        names.append(SubjectName(scheme=opened["scheme"], id=opened["id"]))
    return names


def _agencies(connection: Connection, codes: Sequence[str]) -> Mapping[str, Agency]:
    rows = connection.execute(
        select(agency.c.code, agency.c.name, agency.c.status, agency.c.version, agency.c.profile)
        .where(agency.c.code.in_(codes))
        .where(agency.c.status == Status.ACTIVE.value)
    )
    return {
        row.code: Agency(
            code=row.code,
            name=row.name,
            status=Status(row.status),
            version=row.version,
            profile=json.loads(row.profile),
        )
        for row in rows
    }
