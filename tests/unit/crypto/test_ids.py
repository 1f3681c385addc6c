from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from uuid import RFC_4122

import pytest

from crypto.errors import MalformedError
from crypto.ids import new_id, random_bytes

NOW = datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)


def test_the_time_stands_in_front_as_in_the_example_of_the_standard():
    # RFC 9562 appendix A.6: 2022-02-22T14:22:22.00-05:00.
    assert str(new_id(NOW)).startswith("017f22e2-79b0-7")
    assert new_id(NOW.astimezone(timezone(timedelta(hours=-5)))).int >> 80 == 0x017F22E279B0


def test_version_and_variant_are_those_of_version_7():
    for _ in range(100):
        made = new_id(NOW)
        assert made.version == 7
        assert made.variant == RFC_4122


def test_ids_sort_by_time():
    made = [new_id(NOW + timedelta(milliseconds=step)) for step in range(50)]
    assert made == sorted(made)


def test_ids_of_one_millisecond_sort_in_the_order_in_which_they_were_made():
    made = [new_id(NOW) for _ in range(2000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_threads_share_the_order_and_never_an_id():
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _number: new_id(NOW), range(3000)))
    assert len(set(made)) == len(made)


def test_beyond_the_counter_ids_stay_different():
    assert len({new_id(NOW) for _ in range(10_000)}) == 10_000


def test_all_bits_after_the_counter_are_random():
    made = [new_id(NOW).int for _ in range(200)]
    ones = zeros = 0
    for number in made:
        ones |= number
        zeros |= ~number
    assert (ones & zeros & ((1 << 64) - 1)).bit_count() == 62


def test_microseconds_are_cut_not_rounded():
    assert new_id(NOW + timedelta(microseconds=999)).int >> 80 == 0x017F22E279B0


@pytest.mark.parametrize(
    "now",
    [datetime(2026, 1, 1), datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)],  # noqa: DTZ001  # the fault under test
)
def test_a_time_without_zone_or_before_1970_is_refused(now):
    with pytest.raises(MalformedError):
        new_id(now)


def test_the_last_time_that_python_knows_fits():
    assert new_id(datetime.max.replace(tzinfo=UTC)).version == 7


def test_random_bytes_differ():
    assert len(random_bytes(32)) == 32
    assert random_bytes(32) != random_bytes(32)
