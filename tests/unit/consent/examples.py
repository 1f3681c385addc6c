"""Example terms, people and decisions, shared by the tests of the ledger."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from consent.events import ConsentEvent, Content, EventType
from consent.ledger import ConsentLedger
from consent.model import Actor, ActorKind, ConsentTerms, LegalBasis, Manner, Method, PaperRecord
from consent.scope import AttributeScope, ScopedAttribute

NOW = datetime(2026, 3, 2, 9, 30, 0, 123000, tzinfo=UTC)
DAY = timedelta(days=1)
SUBJECT_REF = UUID("018f4e6a-0000-7000-8000-000000000001")
AGREEMENT = UUID("018f4e6a-0000-7000-8000-0000000000a1")
CONSENT = UUID("018f4e6a-0000-7000-8000-0000000000c1")

ACTORS = {
    ActorKind.SUBJECT: Actor(kind=ActorKind.SUBJECT, ref="subject"),
    ActorKind.REPRESENTATIVE: Actor(kind=ActorKind.REPRESENTATIVE, ref="parent-7", mandate="mandate-3"),
    ActorKind.AGENCY: Actor(kind=ActorKind.AGENCY, ref="housing"),
    ActorKind.OFFICER: Actor(kind=ActorKind.OFFICER, ref="officer-2"),
    ActorKind.BROKER: Actor(kind=ActorKind.BROKER, ref="cdx"),
    ActorKind.CLOCK: Actor(kind=ActorKind.CLOCK, ref="clock"),
}
SUBJECT = ACTORS[ActorKind.SUBJECT]
AGENCY = ACTORS[ActorKind.AGENCY]
OFFICER = ACTORS[ActorKind.OFFICER]
BROKER = ACTORS[ActorKind.BROKER]

SCOPE = AttributeScope.of(
    [
        ScopedAttribute(name="income", form="at_least", required=True),
        ScopedAttribute(name="residence", form="value", required=False),
        ScopedAttribute(name="income", form="value", required=False),
    ]
)
REQUIRED = [("income", "at_least")]
MANNER = Manner(method=Method.PORTAL, language="en", notice_version="housing-2026.1")
PAPER = Manner(
    method=Method.PAPER,
    language="fr",
    notice_version="housing-2026.1",
    paper=PaperRecord(clerk="clerk-1", second="clerk-2", scan_sha256="ab" * 32),
)
TERMS = ConsentTerms(
    subject_ref=SUBJECT_REF,
    agreement_id=AGREEMENT,
    agreement_revision=3,
    consumer="housing",
    purpose="rent-subsidy",
    scope=SCOPE,
    valid_from=NOW,
    valid_until=NOW + 180 * DAY,
    uses=None,
    notice_version="housing-2026.1",
    language="en",
)
DEADLINE = NOW + 14 * DAY


def terms(**changes) -> ConsentTerms:
    return replace(TERMS, **changes)


def ledger(connection, at=NOW) -> ConsentLedger:
    return ConsentLedger(connection, now=at, new_entry_id=uuid4)


def ask(connection, *, at=NOW, deadline=None, **changes) -> UUID:
    wanted = terms(valid_from=at, valid_until=at + 180 * DAY) if at != NOW else TERMS
    wanted = replace(wanted, **changes)
    appended = ledger(connection, at).request(wanted, deadline=deadline or at + 14 * DAY, actor=AGENCY)
    return appended[0].consent_id


def give(connection, consent_id, *, at=NOW, subject_ref=SUBJECT_REF, selection=REQUIRED, **changes):
    return ledger(connection, at).give(
        consent_id, subject_ref=subject_ref, selection=selection, **{"manner": MANNER, "actor": SUBJECT, **changes}
    )


def given(connection, *, at=NOW, **changes) -> UUID:
    consent_id = ask(connection, at=at, **changes)
    give(connection, consent_id, at=at, subject_ref=changes.get("subject_ref", SUBJECT_REF))
    return consent_id


def kinds(events) -> list[str]:
    return [event.type.value for event in events]


CONTENTS = {
    EventType.REQUESTED: Content(terms=TERMS, deadline=DEADLINE),
    EventType.GIVEN: Content(
        scope=SCOPE.narrow(REQUIRED),
        valid_from=NOW,
        valid_until=NOW + 90 * DAY,
        legal_basis=LegalBasis.CONSENT,
        manner=MANNER,
    ),
    EventType.REFUSED: Content(manner=MANNER),
    EventType.WITHDRAWN: Content(manner=MANNER),
    EventType.PAUSED: Content(),
    EventType.RESUMED: Content(),
    EventType.EXPIRED: Content(),
    EventType.LAPSED: Content(),
    EventType.CANCELLED: Content(),
    EventType.USED_UP: Content(),
    EventType.TERMINATED: Content(reason="agreement-ended"),
    EventType.INVALIDATED: Content(reason="no-free-choice"),
    EventType.SUPERSEDED: Content(replaced_by=AGREEMENT),
}
"""The least that each type of event says."""


def event(kind: EventType, seq: int, *, at=NOW, actor=None, content=None, consent_id=CONSENT) -> ConsentEvent:
    usual = {
        EventType.REQUESTED: AGENCY,
        EventType.CANCELLED: AGENCY,
        EventType.TERMINATED: AGENCY,
        EventType.INVALIDATED: OFFICER,
        EventType.USED_UP: BROKER,
        EventType.EXPIRED: ACTORS[ActorKind.CLOCK],
        EventType.LAPSED: ACTORS[ActorKind.CLOCK],
    }
    return ConsentEvent.write(
        kind,
        consent_id=consent_id,
        seq=seq,
        at=at,
        actor=actor or usual.get(kind, SUBJECT),
        content=content or CONTENTS[kind],
        entry_id=uuid4(),
    )


def history(*types: EventType) -> list[ConsentEvent]:
    """Events one hour apart; EXPIRED and LAPSED when their time has come."""
    events: list[ConsentEvent] = []
    at = NOW
    for seq, kind in enumerate(types, start=1):
        if kind is EventType.LAPSED:
            at = DEADLINE
        elif kind is EventType.EXPIRED:
            at = NOW + 90 * DAY
        events.append(event(kind, seq, at=at))
        at += timedelta(hours=1)
    return events
