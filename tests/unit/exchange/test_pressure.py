"""When releases wait for the log or for its witnesses."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exchange.audit.cosigning import merge
from exchange.audit.rows import CosignedRow, PressureRow
from exchange.pressure import PressureLimits, Vouched, fault_of, vouched
from tests.unit.audit.samples import NOW
from tests.unit.audit.test_cosigning import COSIGNERS, LOG, NOTE, TEXT, a_policy

POLICY = a_policy("2")
LIMITS = PressureLimits(
    max_outbox=3, integrate_within=timedelta(seconds=60), witnesses=POLICY, max_unwitnessed=timedelta(hours=4)
)
ALONE = replace(LIMITS, witnesses=None)
CALM = PressureRow(waiting=0, oldest_at=None, origin=LOG.name, opened_at=NOW, cosigned=None)
TICK = timedelta(milliseconds=1)


def cosigned(names, at=NOW):
    note = merge(NOTE, POLICY, [COSIGNERS[name].sign(TEXT, time=7) for name in names]).note
    return CosignedRow(size=5, note=note, cosigned_at=at)


def test_nothing_waits_on_a_calm_log():
    assert fault_of(CALM, LIMITS, NOW) is None
    assert fault_of(CALM, ALONE, NOW + timedelta(days=999)) is None


@pytest.mark.parametrize(("waiting", "is_fault"), [(3, False), (4, True)])
def test_the_number_of_entries_that_wait(waiting, is_fault):
    seen = replace(CALM, waiting=waiting, oldest_at=NOW)
    assert (fault_of(seen, ALONE, NOW) is not None) == is_fault


@pytest.mark.parametrize(("late", "is_fault"), [(timedelta(0), False), (TICK, True)])
def test_how_long_one_has_waited(late, is_fault):
    seen = replace(CALM, waiting=1, oldest_at=NOW)
    assert (fault_of(seen, ALONE, NOW + timedelta(seconds=60) + late) is not None) == is_fault


@pytest.mark.parametrize(("late", "is_fault"), [(timedelta(0), False), (TICK, True)])
def test_the_age_of_the_last_quorum(late, is_fault):
    since = NOW + timedelta(days=30)
    seen = replace(CALM, cosigned=cosigned("ab", since))
    assert (fault_of(seen, LIMITS, since + timedelta(hours=4) + late) is not None) == is_fault
    assert fault_of(seen, ALONE, since + timedelta(days=999)) is None


def test_a_new_log_has_a_time_of_grace():
    assert fault_of(CALM, LIMITS, NOW + timedelta(hours=4)) is None
    assert fault_of(CALM, LIMITS, NOW + timedelta(hours=4) + TICK) is not None


@pytest.mark.parametrize("row", [cosigned("a", NOW + timedelta(hours=3)), None], ids=["one of two", "none"])
def test_what_is_no_quorum_by_the_policy_of_today_counts_as_nothing(row):
    seen = replace(CALM, cosigned=row)
    assert vouched(seen, POLICY, NOW) == Vouched(since=NOW, cosigners=frozenset())
    assert fault_of(seen, LIMITS, NOW + timedelta(hours=5)) is not None


def test_the_cosignatures_under_a_former_name_of_the_log_count_as_nothing():
    seen = replace(CALM, origin=f"{LOG.name}/2", opened_at=NOW + timedelta(hours=1), cosigned=cosigned("abc"))
    assert vouched(seen, POLICY, NOW).since == NOW + timedelta(hours=1)


def test_a_time_that_has_not_come_never_keeps_releases_going():
    """Whoever may write the row could otherwise put the witnesses out of work for good."""
    ahead = replace(CALM, cosigned=cosigned("ab", NOW + timedelta(days=9999)), opened_at=NOW - timedelta(days=1))
    assert fault_of(ahead, LIMITS, NOW) is not None
    a_little = replace(ahead, cosigned=cosigned("ab", NOW + timedelta(minutes=5)))
    assert fault_of(a_little, LIMITS, NOW) is None
