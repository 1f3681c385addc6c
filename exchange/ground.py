"""What a decision stands on, read once: parties, agreement, person, consent, catalogue, sealed values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Connection, Row, select

from consent.columns import from_millis
from consent.lifecycle import status_at
from consent.model import ConsentStatus
from consent.scope import AttributeScope, ScopedAttribute
from crypto import canonical
from crypto.blind_index import normalise
from exchange import ground_store
from exchange.agreement_document import agreement_from_row
from exchange.agreement_model import Agreement
from exchange.catalogue_model import Catalogue
from exchange.errors import AccessRefusedError
from exchange.keyring import KeyRow
from exchange.model import GRANTOR, AttributeRequest, Caller, SubjectStatus
from exchange.policy import ConsentState, SubjectState
from exchange.tables import agreement as agreement_table

if TYPE_CHECKING:
    from exchange.context import Exchange

_AGREEMENTS: dict[tuple[UUID, int], Agreement] = {}
_MAX_AGREEMENTS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedValue:
    """One sealed attribute value and the key row that sealed it, selected together."""

    attribute: str
    record_id: UUID
    provider: str
    version: int
    ct: bytes = field(repr=False)
    key: KeyRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """One consistent reading. Versions are checked again under the locks of the release."""

    client_id: str
    client_version: int
    agency: str
    agency_version: int
    jwks: str
    agreement: Agreement | None
    subject_ref: UUID | None
    subject: SubjectState | None
    subject_version: int
    consent: ConsentState | None
    catalogue: Catalogue
    pseudonym_known: bool
    earlier: tuple[UUID, bytes] | None
    values: tuple[SealedValue, ...]
    granted_agreement_id: UUID | None = None  # of the permission that the token stands for


def read_for(
    exchange: "Exchange",
    connection: Connection,
    caller: Caller,
    request: AttributeRequest,
    key_digest: bytes,
    now: datetime,
) -> Ground:
    """The ground of a new request.

    Raises:
        AccessRefusedError: the token is not live (invariant 13).
    """
    names = sorted({line.name for line in request.attributes})
    if request.subject == GRANTOR:
        rows = ground_store.read_ground_by_token(
            connection,
            token_digest=caller.token_digest,
            now=now,
            agreement=request.agreement,
            attributes=names,
            key_digest=key_digest,
        )
    elif request.subject.scheme == ground_store.PSEUDONYM_SCHEME:
        rows = ground_store.read_ground_by_pseudonym(
            connection,
            token_digest=caller.token_digest,
            now=now,
            agreement=request.agreement,
            pseudonym=request.subject.id,
            attributes=names,
            key_digest=key_digest,
        )
    else:
        rows = ground_store.read_ground_by_identifier(
            connection,
            token_digest=caller.token_digest,
            now=now,
            agreement=request.agreement,
            bidx=exchange.blind_index.compute(request.subject.scheme, normalise(request.subject.id)),
            index_version=exchange.blind_index.version,
            attributes=names,
            key_digest=key_digest,
        )
    return _ground(exchange, connection, caller, rows, now)


def read_again(
    exchange: "Exchange", connection: Connection, caller: Caller, stored: Row[Any], names: Sequence[str], now: datetime
) -> Ground:
    """The ground of a request that was stored earlier, as things are now."""
    rows = ground_store.read_ground_by_request(
        connection,
        token_digest=caller.token_digest,
        now=now,
        agreement_id=stored.agreement_id,
        subject_ref=stored.subject_ref,
        attributes=sorted(set(names)),
    )
    return _ground(exchange, connection, caller, rows, now)


def _ground(exchange: "Exchange", connection: Connection, caller: Caller, rows: Sequence[Any], now: datetime) -> Ground:
    head = rows[0] if rows else None
    if head is None or head.client_id != caller.client_id or head.jkt != caller.jkt:
        raise AccessRefusedError("the access token is not in force")
    status = None if head.subject_ref is None else SubjectStatus(head.subject_status)
    if status is not None and not status.is_person:
        status = None
    return Ground(
        client_id=head.client_id,
        client_version=head.client_version,
        agency=head.agency,
        agency_version=head.agency_version,
        jwks=head.jwks,
        agreement=_agreement(connection, head),
        subject_ref=None if status is None else head.subject_ref,
        subject=None if status is None else SubjectState(status=status),
        subject_version=head.subject_version or 0,
        consent=_consent(head, now),
        catalogue=exchange.catalogues.current(connection, head.catalogue_version),
        pseudonym_known=head.known_pseudonym is not None,
        earlier=None if head.earlier_request_id is None else (head.earlier_request_id, head.earlier_body_digest),
        granted_agreement_id=head.granted_agreement_id,
        values=tuple(
            SealedValue(
                attribute=row.attribute,
                record_id=row.value_id,
                provider=row.provider,
                version=row.value_version,
                ct=row.ct,
                key=KeyRow(
                    subject_ref=head.subject_ref,
                    kid=row.kid,
                    commitment=row.commitment,
                    epoch=row.epoch,
                    wrapped=row.wrapped,
                ),
            )
            for row in rows
            if row.attribute is not None and row.kid is not None
        ),
    )


def _consent(head: Any, now: datetime) -> ConsentState | None:
    if head.consent_id is None:
        return None
    valid_until = from_millis(head.consent_valid_until)
    status = status_at(ConsentStatus(head.consent_status), valid_until, now)
    if status.is_ended:  # ran out; the event is appended later, the effect is now
        return None
    return ConsentState(
        id=head.consent_id,
        version=head.consent_version,
        status=status,
        scope=scope_of(head.consent_scope),
        valid_from=from_millis(head.consent_valid_from),
        valid_until=valid_until,
        uses_left=head.consent_uses_left,
        revision=head.consent_revision,
    )


@lru_cache(maxsize=4096)
def scope_of(stored: str) -> AttributeScope:
    """The scope of a stored list of ``{"form","name"}``; most rows of an agreement hold the same few texts."""
    return AttributeScope.of(
        ScopedAttribute(name=one["name"], form=one["form"]) for one in canonical.decode(stored.encode())
    )


def _agreement(connection: Connection, head: Any) -> Agreement | None:
    if head.agreement_id is None:
        return None
    known = _AGREEMENTS.get((head.agreement_id, head.agreement_version))
    return known if known is not None else agreement_by_id(connection, head.agreement_id)


def agreement_by_id(connection: Connection, agreement_id: UUID) -> Agreement:
    """The agreement as it is now. Any change bumps its version, so a parsed one is kept under (id, version)."""
    row = connection.execute(select(*agreement_table.c).where(agreement_table.c.id == agreement_id)).one()
    parsed = agreement_from_row(row)
    if len(_AGREEMENTS) >= _MAX_AGREEMENTS:
        _AGREEMENTS.clear()
    _AGREEMENTS[(parsed.id, parsed.version)] = parsed
    return parsed
