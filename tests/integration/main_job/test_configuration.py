"""The settings that the exchange runs with are told once, whenever they change; never a value of them."""

import threading

import pytest

from exchange import configuration
from tests.integration.main_job.rows import entries

SETTINGS = {"CDX_PUBLIC_URL": "https://exchange.example", "CDX_MAX_OUTBOX": "16"}


def told(house):
    return [one for one in entries(house) if one.type == "configuration.changed"]


def tell(house, settings=SETTINGS, version="1.0"):
    return configuration.tell(house.exchange, settings, version=version, now=house.clock())


def test_it_is_told_when_it_changes_and_not_otherwise(house):
    assert tell(house)
    assert not tell(house)
    assert not tell(house, dict(reversed(SETTINGS.items())))
    assert tell(house, SETTINGS | {"CDX_MAX_OUTBOX": "17"})
    assert tell(house, SETTINGS | {"CDX_MAX_OUTBOX": "17"}, version="1.1")
    assert tell(house)  # back again is a change, too
    first, second, _, fourth = told(house)
    assert (first.org, first.outcome) == ("cdx", "done")
    assert first.detail == fourth.detail
    assert first.detail["settings"] == "CDX_MAX_OUTBOX CDX_PUBLIC_URL"
    assert first.detail["version"] == "1.0"
    assert first.detail["digest"] == configuration.digest_of(SETTINGS, "1.0") != second.detail["digest"]


def test_no_value_is_told(house):
    tell(house)
    [entry] = told(house)
    assert not any(value in str(entry.detail) for value in SETTINGS.values())


def test_many_settings_make_several_members(house):
    many = {f"CDX_{'A' * 40}_{number:03}": "x" for number in range(40)}
    tell(house, many)
    [entry] = told(house)
    lines = [entry.detail[name] for name in sorted(entry.detail) if name.startswith("settings")]
    assert len(lines) > 1
    assert " ".join(lines).split() == sorted(many)


def test_of_several_servers_that_start_at_once_one_tells(house):
    start = threading.Barrier(6)
    done = []

    def serve():
        start.wait()
        done.append(tell(house))

    threads = [threading.Thread(target=serve) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [False] * 5 + [True]
    assert len(told(house)) == 1


@pytest.mark.parametrize("version", ["", "1\n"])
def test_what_makes_no_entry_changes_nothing(house, version):
    from exchange.errors import AuditError

    with pytest.raises(AuditError):
        tell(house, version=version)
    assert tell(house)
