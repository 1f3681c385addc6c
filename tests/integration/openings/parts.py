"""Events about several people, officers, and looking at everything as an inspector with all keys would."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from api.commands.sealed import Opener
from exchange.audit.entry import Entry, decode_entry
from exchange.audit.report import Report
from exchange.audit.tables import audit_leaf, audit_opening, audit_outbox, audit_subject_entry
from exchange.audit.verify_db import verify_database
from exchange.events import Concerned, Event, EventType, Outcome
from exchange.model import RequestedAttribute, SubjectName
from exchange.openings import Officer, OpenedEntry, open_entry
from exchange.outcomes import Answered
from tests.house import ANNA, HOUSING, House

NAME = (RequestedAttribute(name="full_name"),)
REASON = "a complaint about this entry"
DPO = Officer(org=HOUSING, id="dpo-1", role="data protection officer", via="housing-1 jkt")
OPERATOR = Officer(org="cdx", id="op-1", role="operator", via="command line")


def disclosed(house: House, client: Any, who: SubjectName = ANNA) -> UUID:
    """A disclosure under a consent; its entry."""
    house.consented(client, who)
    answered = house.ask(client, who, NAME)
    assert isinstance(answered, Answered)
    return answered.entry_id


def about(
    house: House,
    *people: SubjectName,
    hidden: dict[SubjectName, datetime] | None = None,
    staff: tuple[UUID, ...] = (),
    kind: EventType = EventType.DISCLOSURE_ACKNOWLEDGED,
) -> UUID:
    """An entry about some people, each with facts of their own; nobody: an entry of the operator."""
    refs = {house.people[who]: who for who in people}
    hidden = hidden or {}
    first, *rest = refs or [None]
    event = Event(
        type=kind,
        org=HOUSING,
        outcome=Outcome.DONE,
        subject_ref=first,
        facts=own_facts(refs.get(first)),
        visible_from=hidden.get(refs.get(first)),
        also=(
            *(Concerned(owner_ref=ref, facts=own_facts(refs[ref]), visible_from=hidden.get(refs[ref])) for ref in rest),
            *(Concerned(owner_ref=ref, facts=own_facts(None), has_history=False) for ref in staff),
        ),
    )
    with house.exchange.unit_of_work(house.clock()) as uow:
        entry = uow.record(event)
        uow.commit()
    return entry.id


def own_facts(who: SubjectName | None) -> dict[str, str]:
    """Facts that tell whose they are."""
    return {"disclosure": "nobody" if who is None else who.id, "case": "HB-1"}


def opens(house: House, entry_id: UUID, officer: Officer = DPO, reason: str = REASON) -> OpenedEntry:
    """An officer opens."""
    return open_entry(house.exchange, officer, entry_id, reason, house.clock())


def shown(opened: OpenedEntry) -> list[tuple[str | None, str, dict[str, str | None]]]:
    """Role, state and facts of each owner, in an order of their own."""
    rows = [(one.role, one.state, {fact.name: fact.value for fact in one.facts}) for one in opened.owners]
    return sorted(rows, key=lambda row: (row[0] or "", repr(row)))


def entries(house: House, kind: str | None = None) -> list[Entry]:
    """All entries, accepted or integrated, in the order of their ids."""
    with house.exchange.database.read() as connection:
        bodies = [*connection.scalars(select(audit_leaf.c.body)), *connection.scalars(select(audit_outbox.c.body))]
    found = sorted(map(decode_entry, bodies), key=lambda entry: entry.id)
    return [entry for entry in found if kind in (None, entry.type)]


def lines(house: House, entry_id: UUID) -> dict[UUID, datetime | None]:
    """Whose history an entry stands in, and until when it is hidden from them."""
    line = audit_subject_entry.c
    with house.exchange.database.read() as connection:
        rows = connection.execute(select(line.subject_ref, line.visible_from).where(line.entry_id == entry_id))
        return {row.subject_ref: row.visible_from for row in rows}


def owners(house: House, entry_id: UUID) -> set[UUID]:
    """Under whose keys openings of an entry lie."""
    with house.exchange.database.read() as connection:
        return set(connection.scalars(select(audit_opening.c.subject_ref).where(audit_opening.c.entry_id == entry_id)))


def verified(house: House) -> Report:
    """The database held against the log, as ``cdx log verify-db`` does."""
    with house.exchange.database.read() as connection:
        opener = Opener(house.exchange, connection)
        vkey = house.services.config.vkey_file.read_text().strip()
        return verify_database(connection, [vkey], unseal=opener.unseal, check_sealed=opener.check)


def change(house: House, statement: Any) -> None:
    """What somebody with write access to the database does."""
    with house.exchange.database.write() as connection:
        assert connection.execute(statement).rowcount
        connection.commit()
