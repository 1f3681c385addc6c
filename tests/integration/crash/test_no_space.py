"""A database that takes nothing more: each call fails as a whole and says so, and works again when it can be."""

import pytest
from sqlalchemy import event, text

from exchange.errors import DatabaseError
from tests.house import build
from tests.http.v1.site import NAME, asked
from tests.integration.crash.test_killed import check, faults_of
from tests.integration.main_job.rows import counts, difference

MANY = 400


class Disk:
    """The room that SQLite has left: pages of each connection, which all of them ask for anew."""

    def __init__(self, *databases):
        self.databases = databases
        self.limit = None
        for database in databases:
            event.listen(database.engine, "connect", self._limit)

    def _limit(self, connection, _record):
        if self.limit is not None:
            connection.execute(f"PRAGMA max_page_count={self.limit}")

    def set(self, limit):
        self.limit = limit
        for database in self.databases:
            database.engine.dispose()

    def fill(self):
        """Not one page more than there is now."""
        with self.databases[0].read() as connection:
            self.set(connection.exec_driver_sql("PRAGMA page_count").scalar())

    def give_back(self):
        self.set(2**30)


@pytest.fixture
def database_url(sqlite_template, tmp_path):
    """How much room a PostgreSQL has cannot be set for one database."""
    import shutil

    shutil.copyfile(sqlite_template, tmp_path / "cdx.db")
    return f"sqlite:///{tmp_path / 'cdx.db'}"


@pytest.fixture
def disk(site):
    return Disk(site.exchange.database, site.house.log.database)


def until_full(call, house, left=frozenset()):
    """Repeat a call until it fails; what it answered last, having seen that the failure left nothing behind.

    ``left``: tables that an earlier transaction of the same call may have written.
    """
    for number in range(MANY):
        before = counts(house)
        answer = call(number)
        if answer.status_code >= 500:
            assert difference(before, counts(house)).keys() <= left
            return answer
    raise AssertionError("the disk did not fill up")


def is_database_error(answer):
    assert answer.status_code == 503, answer.text
    assert answer.content_type == "application/problem+json"
    assert answer.json["type"] == "urn:cdx:problem:database-error"
    assert "detail" not in answer.json
    assert int(answer.headers["Retry-After"]) > 0
    return True


@pytest.mark.invariant(1)
def test_a_full_disk_fails_requests_as_a_whole_and_they_go_on_afterwards(site, disk, tmp_path):
    agency, house = site.agency(), site.house
    site.consented(agency)
    token = agency.current()
    disk.fill()
    answered = []

    def ask(number):
        answer = agency.ask(asked(attributes=NAME), key=f"full-disk-{number}", token=token)
        answered.append((f"full-disk-{number}", answer))
        return answer

    assert is_database_error(until_full(ask, house))
    key, _ = answered.pop()
    assert site.http().get("/healthz").status_code == 200
    assert is_database_error(agency.ask(asked(attributes=NAME), key=key, token=token))
    assert is_database_error(agency.ask(asked("VAL-999999-9"), token=token))

    disk.give_back()
    again = agency.ask(asked(attributes=NAME), key=key, token=token)
    assert (again.status_code, again.json["state"]) == (200, "released")
    assert agency.open(again.json["response"])["jti"] == again.json["disclosure"]
    house.integrate()
    bodies = [answer.json for _, answer in answered] + [again.json]
    told = [{"request": one["id"], "disclosure": one["disclosure"], "entry": one["entry"]} for one in bodies]
    check(house, {"answered": told, "acknowledged": [], "waiting": []})
    assert faults_of(house, tmp_path) == []


def test_a_full_disk_fails_other_writes_the_same_way(site, disk):
    agency, anna = site.agency(), site.citizen()
    consent, request_id = site.consented(agency)
    register = site.agency("population-register", scope="attributes:write")
    for caller in (agency, anna, register):
        caller.current()
    record = {
        "subject": {"scheme": "national-id", "id": "VAL-400001-1"},
        "attributes": [{"name": "full_name", "value": "x"}],
    }
    disk.fill()
    writes = [
        lambda _: agency.collect(request_id),
        lambda _: anna.get("/v1/me/disclosures"),
        lambda number: register.call(
            "PUT", "/v1/subjects/attributes", record | {"subject": {"scheme": "national-id", "id": f"VAL-{number}"}}
        ),
        lambda _: agency.http.post(
            "/oauth/token", data=agency.form(), headers={"DPoP": agency.proof("POST", agency.token_url)}
        ),
    ]
    for write in writes:
        # A proof is taken before anything else is done, and is spent then.
        answer = until_full(write, site.house, left={"single_use"})
        assert answer.status_code == 503, answer.text
    disk.give_back()
    assert anna.post(f"/v1/me/consents/{consent}/withdraw").json["status"] == "WITHDRAWN"
    assert register.call("PUT", "/v1/subjects/attributes", record).json == {"created": 1, "written": 1}


@pytest.mark.invariant(12)
def test_a_full_disk_stops_the_sequencer_and_it_goes_on_where_it_was(site, disk, tmp_path):
    agency, house = site.agency(), site.house
    site.consented(agency)
    house.integrate()
    before = site.http().get("/audit/checkpoint").text
    for _ in range(40):
        assert agency.ask(asked(attributes=NAME)).status_code == 200
    disk.fill()
    with pytest.raises(DatabaseError):
        house.integrate()
    assert site.http().get("/audit/checkpoint").text == before
    disk.give_back()
    house.integrate()
    assert site.http().get("/audit/checkpoint").text != before
    assert faults_of(house, tmp_path) == []


def test_a_database_that_cannot_be_written_is_told_as_such(tmp_path, request):
    """A replica that was promoted too late, a disk that was mounted to be read: nothing is done, and it is said."""
    from tests.conftest import migrate
    from tests.postgres import drop_database, fresh_database

    url = fresh_database(migrate)
    request.addfinalizer(lambda: drop_database(url))
    house = build(tmp_path, url)
    try:
        client = house.add_client("housing-benefit-office")
        house.consented(client)
        caller = house.caller(client)
        set_read_only(house, "on")
        with pytest.raises(DatabaseError):
            house.ask(client, caller=caller)
        set_read_only(house, "off")
        house.ask(client, caller=caller)
    finally:
        house.close()


def set_read_only(house, value):
    with house.exchange.database.read() as connection:
        name = connection.execute(text("SELECT current_database()")).scalar()
        connection.execute(text("SET default_transaction_read_only = off"))
        connection.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {value}'))
    house.exchange.database.engine.dispose()


def test_connections_that_the_server_has_cut_are_made_again(tmp_path, request):
    from tests.conftest import migrate
    from tests.postgres import drop_database, fresh_database

    url = fresh_database(migrate)
    request.addfinalizer(lambda: drop_database(url))
    house = build(tmp_path, url)
    try:
        client = house.add_client("housing-benefit-office")
        house.consented(client)
        callers = [house.caller(client) for _ in range(10)]
        with house.log.database.read() as connection:
            cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            connection.execute(text(f"{cut} AND pid <> pg_backend_pid()"))
        failed = 0
        for caller in callers:
            try:
                house.ask(client, caller=caller)
            except DatabaseError:
                failed += 1
        assert failed < len(callers) / 2
    finally:
        house.close()
