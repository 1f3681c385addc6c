"""How a stored request ends: released, refused, or its answer sent once more. One transaction each."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row

from consent import store as consent_store
from consent.model import ConsentStatus
from crypto import canonical
from exchange import store
from exchange.asking import Opened, open_vault, owner_now, record_denial
from exchange.errors import RequestNotReadyError
from exchange.events import EventType
from exchange.forms import parse_form
from exchange.ground import Ground
from exchange.model import Caller, HeldValue, RequestStatus, SubjectStatus
from exchange.outcomes import Answered, Refused
from exchange.policy import Deny, DenyReason, Permit
from exchange.release import GroundMovedError, Release, hold_ground, prepare_release, release
from exchange.situations import COLLECTABLE, Situation

if TYPE_CHECKING:
    from exchange.context import Exchange


# A pause and a spent limit pass; such a request stays collectable until it lapses.
_PASSING = frozenset({DenyReason.CONSENT_PAUSED, DenyReason.FORM_LIMIT})


def release_stored(
    exchange: "Exchange", caller: Caller, situation: Situation, permit: Permit, opened: Opened | None, now: datetime
) -> Answered:
    """Release a request that waited, or was taken for a provider; GroundMovedError: read again."""
    assert opened is not None  # a permit was opened
    request_id = situation.stored.id
    prepared = prepare_release(
        exchange,
        situation.ground,
        permit,
        opened.held,
        situation.request,
        request_id=request_id,
        caller=caller,
        now=now,
    )
    with exchange.unit_of_work(now) as uow:
        values = {"settled_at": now, "consent_id": permit.consent_id or situation.stored.consent_id}
        # The person before the request: the order in which an erasure takes them.
        store.hold_person(uow.connection, situation.stored.subject_ref)
        if not store.settle_request(
            uow.connection, request_id, status=RequestStatus.RELEASED, expected=COLLECTABLE, values=values
        ):
            raise GroundMovedError
        release(uow, situation.ground, permit, prepared, caller=caller, key=opened.key)
        uow.commit()
    return answered(prepared)


def answered(prepared: Release) -> Answered:
    """A committed release, as the caller gets it."""
    return Answered(
        request_id=prepared.request_id,
        disclosure_id=prepared.disclosure_id,
        entry_id=prepared.entry.id,
        jwe=prepared.jwe,
        receipt=prepared.receipt,
    )


def refuse_stored(exchange: "Exchange", caller: Caller, situation: Situation, deny: Deny, now: datetime) -> Refused:
    """Commit the refusal of a collection."""
    stored = situation.stored
    final = deny.reason not in _PASSING
    with exchange.unit_of_work(now) as uow:
        subject_ref, sealed_by = owner_now(exchange, uow, stored)
        if final and not store.settle_request(
            uow.connection, stored.id, status=RequestStatus.DENIED, expected=COLLECTABLE, values={"settled_at": now}
        ):
            raise GroundMovedError
        record_denial(
            uow,
            caller,
            situation.ground,
            deny,
            situation.request,
            request_id=stored.id,
            subject_ref=subject_ref,
            sealed_by=sealed_by,
        )
        uow.commit()
    return Refused(request_id=stored.id, reason=deny.reason)


def permit_again(earlier: Row[Any], situation: Situation) -> Permit:
    """What an earlier disclosure let out, as a permit."""
    went_out = {(one["name"], one["form"]) for one in canonical.decode(earlier.attributes.encode())}
    lines = situation.request.attributes
    return Permit(
        lines=tuple(line for line in lines if (line.name, line.form) in went_out),
        left_out=tuple(line for line in lines if (line.name, line.form) not in went_out),
        consent_id=earlier.consent_id,
        consent_version=earlier.consent_version,
    )


def require_repeatable(exchange: "Exchange", situation: Situation, earlier: Row[Any], now: datetime) -> None:
    """Refuse a second delivery that cannot be, before anybody is asked for values. ``redeliver`` looks again.

    Raises:
        RequestNotReadyError: its arrival was confirmed, its time is over, or the permission has ended.
    """
    stored, ground = situation.stored, situation.ground
    if earlier.acknowledged_at is not None or now >= earlier.at + exchange.settings.redelivery_window:
        raise RequestNotReadyError(f"request {stored.id} was answered; the answer can no longer be sent again")
    assert ground.agreement is not None  # a stored request has one
    if not _may_go_out_again(ground, permit_again(earlier, situation)):
        raise RequestNotReadyError(f"request {stored.id} was answered; the answer can no longer be sent again")
    with exchange.database.read() as connection:
        if not _still_permitted(connection, earlier, now) or not ground.agreement.is_in_force(now):
            raise RequestNotReadyError(f"request {stored.id} was answered; the permission has ended since")


def _may_go_out_again(ground: Ground, permit: Permit) -> bool:
    """Steps 6 to 8 of the decision, for lines that went out before: agreement, catalogue and person as they are now."""
    agreement, catalogue = ground.agreement, ground.catalogue
    if agreement is None or ground.subject is None:
        return False
    known = all(
        (line.name, line.form) in agreement.keys
        and line.name in catalogue.attributes
        and catalogue.attribute(line.name).admits(parse_form(line.form))
        for line in permit.lines
    )
    if ground.subject.status is SubjectStatus.PROTECTED:
        return known and not any(catalogue.attribute(line.name).whereabouts for line in permit.lines)
    return known and ground.subject.status is SubjectStatus.ACTIVE


def redeliver(
    exchange: "Exchange",
    caller: Caller,
    situation: Situation,
    earlier: Row[Any],
    live: Mapping[str, HeldValue],
    now: datetime,
) -> Answered:
    """Send the same disclosure again: an answer may get lost. Takes no use; is an entry (invariant 9).

    After :func:`require_repeatable`.
    """
    stored, ground = situation.stored, situation.ground
    permit = permit_again(earlier, situation)
    with exchange.database.read() as connection:
        opened = open_vault(exchange, connection, ground, permit)
    assert opened is not None
    prepared = prepare_release(
        exchange,
        ground,
        permit,
        {**opened.held, **live},
        situation.request,
        request_id=stored.id,
        caller=caller,
        now=now,
        event_type=EventType.ATTRIBUTE_REDELIVERED,
        disclosure_id=earlier.id,
        today=earlier.at.date(),  # an age is told as of the day of the disclosure, not anew
    )
    agreement = ground.agreement
    assert agreement is not None  # a stored request has one

    def still_permitted() -> None:
        known = store.find_disclosure(uow.connection, stored.id)
        if known is None or known.acknowledged_at is not None:
            raise RequestNotReadyError(f"request {stored.id} was answered; its arrival was confirmed")
        if not _still_permitted(uow.connection, earlier, now, locked=True) or not agreement.is_in_force(now):
            raise RequestNotReadyError(f"request {stored.id} was answered; the permission has ended since")

    with exchange.unit_of_work(now) as uow:
        uow.plan(hold_ground(ground, caller, now))
        uow.plan_last(still_permitted)
        uow.record_prepared(prepared.entry, key=opened.key)
        uow.commit()
    return answered(prepared)


def _still_permitted(connection: Connection, earlier: Row[Any], now: datetime, *, locked: bool = False) -> bool:
    """Whether the consent that was used is in force, or was used up by this very disclosure."""
    if earlier.consent_id is None:
        return True
    row = (consent_store.lock if locked else consent_store.find)(connection, earlier.consent_id)
    if row is None:
        return False
    if row.status is ConsentStatus.USED_UP:
        return bool(store.newest_disclosure_under(connection, earlier.consent_id) == earlier.id)
    return row.status is ConsentStatus.GIVEN and row.valid_from <= now < row.valid_until
