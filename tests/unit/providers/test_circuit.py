"""The circuit breaker, by passed time."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from exchange.errors import ProviderUnavailableError
from exchange.providers.circuit import Circuit, CircuitState

T0 = datetime(2026, 1, 1, tzinfo=UTC)
OPEN_FOR = timedelta(seconds=30)


def circuit(failures: int = 2) -> Circuit:
    return Circuit(failures=failures, open_for=OPEN_FOR)


def fail(one: Circuit, now: datetime) -> None:
    one.admit(now)
    one.failed(now)


def test_failures_in_a_row_open_it_and_a_success_between_starts_the_count_again():
    one = circuit()
    fail(one, T0)
    one.admit(T0)
    one.succeeded()
    fail(one, T0)
    assert one.state(T0) is CircuitState.CLOSED
    fail(one, T0)
    assert one.state(T0) is CircuitState.OPEN
    with pytest.raises(ProviderUnavailableError):
        one.admit(T0 + OPEN_FOR - timedelta(milliseconds=1))


def test_after_its_time_one_call_may_try_and_only_one():
    one = circuit(1)
    fail(one, T0)
    later = T0 + OPEN_FOR
    assert one.state(later) is CircuitState.HALF_OPEN
    one.admit(later)
    with pytest.raises(ProviderUnavailableError):
        one.admit(later)
    one.succeeded()
    assert one.state(later) is CircuitState.CLOSED
    one.admit(later)
    one.admit(later)


def test_a_failed_try_opens_it_for_the_whole_time_again():
    one = circuit(3)
    for _ in range(3):
        fail(one, T0)
    later = T0 + OPEN_FOR
    fail(one, later)
    assert one.state(later + OPEN_FOR - timedelta(milliseconds=1)) is CircuitState.OPEN
    assert one.state(later + OPEN_FOR) is CircuitState.HALF_OPEN


def test_a_try_that_told_nothing_lets_another_one_try():
    one = circuit(1)
    fail(one, T0)
    later = T0 + OPEN_FOR
    one.admit(later)
    one.gave_up()
    one.admit(later)
    one.succeeded()
    assert one.state(later) is CircuitState.CLOSED


def test_of_many_threads_one_may_try():
    one = circuit(1)
    fail(one, T0)
    admitted = []

    def try_it() -> None:
        try:
            one.admit(T0 + OPEN_FOR)
        except ProviderUnavailableError:
            return
        admitted.append(1)

    threads = [threading.Thread(target=try_it) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == 1


@pytest.mark.parametrize(("failures", "seconds"), [(0, 1), (1, 0)])
def test_a_circuit_that_never_opens_or_never_stays_open_is_refused(failures, seconds):
    with pytest.raises(ValueError, match="circuit"):
        Circuit(failures=failures, open_for=timedelta(seconds=seconds))
