"""A hidden line (GDPR art. 23): it shows nowhere before its time, by no gap and no number, and then at its place."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from exchange import citizen_views, disclosures
from exchange.audit.tables import audit_opening, audit_subject_entry
from exchange.own_log import own_log
from exchange.tables import disclosure
from tests.house import ANNA, BEN, House
from tests.integration.openings.parts import (
    DPO,
    NAME,
    OPERATOR,
    REASON,
    about,
    change,
    disclosed,
    entries,
    lines,
    opens,
    shown,
    verified,
)


def log_of(house: House, who=ANNA, *, limit=100):
    """All ids of the person's log, page by page, without the traces that looking leaves; and the pages' lengths."""
    found, sizes, cursor = [], [], None
    while True:
        page = own_log(house.exchange, house.citizen(who), cursor=cursor, limit=limit, now=house.clock())
        found += [one.entry.id for one in page.entries if one.entry.type != "history.read"]
        sizes.append(len(page.entries))
        cursor = page.next
        if cursor is None:
            return found, sizes


def test_hidden_lines_are_left_out_and_come_at_their_place(house: House):
    until = house.clock() + timedelta(days=30)
    visible, hidden = [], []
    for number in range(9):
        house.clock.move(milliseconds=1)
        is_hidden = number % 3 == 1
        (hidden if is_hidden else visible).append(about(house, ANNA, hidden={ANNA: until} if is_hidden else None))
    house.integrate()
    own = {*visible, *hidden}
    for limit in (1, 2, 3, 100):
        house.clock.move(milliseconds=1)
        found, sizes = log_of(house, limit=limit)
        assert [one for one in found if one in own] == visible[::-1]
        # No page is shorter for what is left out of it.
        assert set(sizes[:-1]) <= {limit}
    house.clock.now = until - timedelta(milliseconds=1)
    assert [one for one in log_of(house)[0] if one in own] == visible[::-1]
    house.clock.now = until
    assert [one for one in log_of(house)[0] if one in own] == sorted(own, reverse=True)
    assert verified(house).faults == []


def test_who_has_hidden_lines_cannot_be_told_from_who_has_none(house: House):
    """Anna has twice as many entries as Ben, half of them hidden: what both see has the same shape."""
    until = house.clock() + timedelta(days=30)
    for _ in range(5):
        house.clock.move(milliseconds=1)
        about(house, ANNA, BEN)
        about(house, ANNA, hidden={ANNA: until})
    house.integrate()
    shapes = []
    for who in (ANNA, BEN):
        pages, cursor = [], None
        for _ in range(2):
            page = own_log(house.exchange, house.citizen(who), cursor=cursor, limit=3, now=house.clock())
            pages.append(
                [
                    (one.entry.type, one.entry.at, sorted(fact.name for fact in one.facts), one.seen_by)
                    for one in page.entries
                    if one.entry.type != "history.read"
                ]
            )
            cursor = page.next
            assert cursor is not None
        shapes.append(pages)
    assert shapes[0] == shapes[1]


def test_a_hidden_disclosure_shows_neither_in_the_list_nor_in_what_is_counted(house: House, client):
    disclosed(house, client)
    citizen = house.people[ANNA]
    now, until = house.clock(), house.clock() + timedelta(days=30)
    house.ask(client, ANNA, NAME)
    house.integrate()

    def seen():
        page = disclosures.history(house.exchange, house.citizen(ANNA), cursor=None, limit=100, now=house.clock())
        [consent] = citizen_views.list_own(house.exchange, house.citizen(ANNA), house.clock())
        return len(page.disclosures), consent.uses, consent.uses_left, consent.last_used_at

    assert seen()[:2] == (2, 2)
    with house.exchange.database.read() as connection:
        last = (
            connection.execute(
                select(disclosure.c.entry_id)
                .where(disclosure.c.subject_ref == citizen)
                .order_by(disclosure.c.id.desc())
            )
            .scalars()
            .first()
        )
    line = audit_subject_entry
    where = (line.c.entry_id == last, line.c.subject_ref == citizen)
    change(house, line.update().where(*where).values(visible_from=until))
    assert seen() == (1, 1, None, now)
    # One page more than there is to see is never promised.
    page = disclosures.history(house.exchange, house.citizen(ANNA), cursor=None, limit=1, now=house.clock())
    assert page.next is None
    house.clock.now = until
    assert seen()[:2] == (2, 2)


def test_a_hidden_use_leaves_as_many_uses_as_the_person_knows_of(house: House, client):
    house.consented(client, uses=5)
    for _ in range(2):
        house.ask(client, ANNA, NAME)
    line = audit_subject_entry
    with house.exchange.database.read() as connection:
        last = connection.execute(select(disclosure.c.entry_id)).scalars().first()
    until = house.clock() + timedelta(days=1)
    change(house, line.update().where(line.c.entry_id == last).values(visible_from=until))
    [consent] = citizen_views.list_own(house.exchange, house.citizen(ANNA), house.clock())
    assert (consent.uses, consent.uses_left) == (1, 4)
    house.clock.now = until
    [consent] = citizen_views.list_own(house.exchange, house.citizen(ANNA), house.clock())
    assert (consent.uses, consent.uses_left) == (2, 3)


def test_openings_of_openings_inherit_for_each_person_the_time_of_their_own(house: House):
    """A chain of three: Anna's line is hidden, Ben's is not."""
    until = house.clock() + timedelta(days=30)
    anna, ben = house.people[ANNA], house.people[BEN]
    entry_id = about(house, ANNA, BEN, hidden={ANNA: until})
    chain = [entry_id]
    for officer in (DPO, OPERATOR, OPERATOR):
        house.clock.move(milliseconds=1)
        opened = opens(house, chain[-1], officer)
        assert {one.visible_from for one in opened.owners if one.ref == anna} == {until}
        chain += opened.recorded_as
    for one in chain:
        assert lines(house, one) == {anna: until, ben: None}
    house.integrate()
    assert not set(chain) & set(log_of(house, ANNA)[0])
    assert set(chain) <= set(log_of(house, BEN)[0])
    house.clock.now = until
    assert set(chain) <= set(log_of(house, ANNA)[0])
    assert verified(house).faults == []


def test_the_later_of_the_sealed_time_and_the_one_in_the_row_is_inherited(house: House):
    until = house.clock() + timedelta(days=30)
    anna = house.people[ANNA]
    entry_id = about(house, ANNA, hidden={ANNA: until})
    line = audit_subject_entry
    for changed in (None, until - timedelta(days=1), until + timedelta(days=1)):
        change(house, line.update().where(line.c.entry_id == entry_id).values(visible_from=changed))
        [record] = opens(house, entry_id).recorded_as
        assert lines(house, record) == {anna: max(until, changed or until)}


def test_an_opening_of_a_visible_entry_is_not_hidden_with_what_is_hidden_elsewhere(house: House):
    until = house.clock() + timedelta(days=30)
    about(house, ANNA, hidden={ANNA: until})
    plain = about(house, ANNA)
    [record] = opens(house, plain).recorded_as
    assert lines(house, record) == {house.people[ANNA]: None}


def test_a_visible_entry_does_not_tell_of_a_hidden_opening(house: House):
    """Whoever hides an opening hides it at the entry that was opened, too."""
    plain = about(house, ANNA)
    [record] = opens(house, plain).recorded_as
    line = audit_subject_entry
    until = house.clock() + timedelta(days=30)
    change(house, line.update().where(line.c.entry_id == record).values(visible_from=until))

    def seen_by():
        page = own_log(house.exchange, house.citizen(ANNA), cursor=None, limit=100, now=house.clock())
        return next(one.seen_by for one in page.entries if one.entry.id == plain)

    assert seen_by() == ()
    house.clock.now = until
    assert [one.reason for one in seen_by()] == [REASON]


@pytest.mark.parametrize("days", [None, -1, 1], ids=["cleared", "earlier", "later"])
def test_a_changed_time_is_found(house: House, days):
    until = house.clock() + timedelta(days=30)
    entry_id = about(house, ANNA, BEN, hidden={ANNA: until})
    house.integrate()
    assert verified(house).faults == []
    line = audit_subject_entry
    changed = None if days is None else until + timedelta(days=days)
    where = (line.c.entry_id == entry_id, line.c.subject_ref == house.people[ANNA])
    change(house, line.update().where(*where).values(visible_from=changed))
    assert verified(house).faults == [
        f"audit_subject_entry: the history lines of entry {entry_id} are not what was written"
    ]


def test_a_line_hidden_afterwards_is_found(house: House):
    entry_id = about(house, ANNA, BEN)
    house.integrate()
    line = audit_subject_entry
    where = (line.c.entry_id == entry_id, line.c.subject_ref == house.people[BEN])
    change(house, line.update().where(*where).values(visible_from=house.clock() + timedelta(days=9)))
    assert any(str(entry_id) in fault for fault in verified(house).faults)


def test_facts_that_were_taken_away_do_not_pass_for_none(house: House):
    entry_id = about(house, ANNA)
    change(house, audit_opening.delete().where(audit_opening.c.entry_id == entry_id))
    page = own_log(house.exchange, house.citizen(ANNA), cursor=None, limit=100, now=house.clock())
    assert next(one.facts for one in page.entries if one.entry.id == entry_id) is None
    assert shown(opens(house, entry_id)) == [(None, "erased", {})]
    assert entries(house, "audit.opened")
