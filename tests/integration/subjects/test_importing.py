"""Files of subjects: imported by line, rejected by line, resumed where they stopped, never half (both databases)."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from exchange import importing, subjects, tables
from exchange.errors import ContentionError, UnknownAgencyError
from exchange.importing import Progress, import_file
from exchange.model import SubjectName
from exchange.providers.files import ImportFileError
from tests.house import ANNA, HOUSING, House
from tests.integration.subjects.inspect import (
    assert_log_is_sound,
    assert_values_match_the_log,
    held,
    versions,
)

REGISTER = "population-register"
ROOT = Path(__file__).resolve().parents[3]


def find(house: House, identifier: str):
    with house.exchange.database.read() as connection:
        return subjects.find(connection, house.exchange, SubjectName(scheme="national-id", id=identifier), HOUSING)


def people(house: House) -> int:
    with house.exchange.database.read() as connection:
        return connection.execute(select(func.count()).select_from(tables.subject)).scalar_one() - 3


def write(tmp_path: Path, text: str, name: str = "people.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


def register(tmp_path: Path, count: int) -> Path:
    lines = [f"national-id,VAL-4{n:05d}-0,Person {n},{n % 9},19{n % 90 + 10}-01-02\n" for n in range(count)]
    return write(tmp_path, "scheme,id,full_name,household_size,birth_date\n" + "".join(lines))


def test_a_csv_file_becomes_people_with_values_and_states(house: House, tmp_path):
    path = write(
        tmp_path,
        "\ufeffscheme;id;full_name;sex;sex.label;household_size;birth_date;birth_date.last_updated;last_updated\r\n"
        'national-id;VAL-1;"Doe; Jane";F;female;2;1990-05-06;2026-01-01;2026-02-02\r\n'
        "\r\n"
        "national-id;VAL-2;@@home;@not_applicable;;;@unavailable;;\r\n"
        "national-id;VAL-100001-7;@empty;M;;7;;;\r\n",
    )
    report = import_file(house.exchange, path, REGISTER, now=house.clock())
    assert (report.imported, report.rejected_count, report.resumed_at) == (3, 0, None)
    jane = held(house.exchange, find(house, "VAL-1"))
    assert (jane["full_name"].value, jane["full_name"].last_updated) == ("Doe; Jane", "2026-02-02")
    assert jane["sex"].value == {"code": "F", "label": "female"}
    assert (jane["birth_date"].value, jane["birth_date"].last_updated) == ("1990-05-06", "2026-01-01")
    assert jane["passport_number"].state == "absent"
    second = held(house.exchange, find(house, "VAL-2"))
    assert second["full_name"].value == "@home"
    assert [second[name].state for name in ("sex", "household_size", "birth_date")] == [
        "not_applicable",
        "absent",
        "unavailable",
    ]
    anna = held(house.exchange, house.people[ANNA])
    assert (anna["full_name"].state, anna["household_size"].value, anna["birth_date"].state) == ("empty", 7, "absent")
    assert anna["home_address"].value == "5 Harbour Street, 1000 Riverton"  # no column: untouched
    assert_values_match_the_log(house, house.people[ANNA])
    assert_log_is_sound(house)


def test_json_lines_say_the_same(house: House, tmp_path):
    lines = [
        {"scheme": "national-id", "id": "VAL-1", "full_name": "Jane\nDoe", "household_size": 2, "legal_guardian": True},
        {"scheme": "national-id", "id": "VAL-2", "full_name": "", "sex": {"code": "F", "label": "female"}},
        {
            "scheme": "national-id",
            "id": "VAL-3",
            "last_updated": "2026-01-01",
            "full_name": {"value": "Joe", "valid_until": "2027-01-01"},
            "birth_date": {"state": "not_applicable"},
            "household_size": None,
        },
    ]
    path = write(tmp_path, "\n".join(map(json.dumps, lines)), "people.jsonl")
    report = import_file(house.exchange, path, REGISTER, now=house.clock())
    assert (report.imported, report.rejected) == (3, ())
    assert held(house.exchange, find(house, "VAL-1"))["full_name"].value == "Jane\nDoe"
    assert held(house.exchange, find(house, "VAL-1"))["legal_guardian"].value is True
    assert held(house.exchange, find(house, "VAL-2"))["full_name"].state == "empty"
    joe = held(house.exchange, find(house, "VAL-3"))
    assert (joe["full_name"].value, joe["full_name"].last_updated, joe["full_name"].valid_until) == (
        "Joe",
        "2026-01-01",
        "2027-01-01",
    )
    assert (joe["birth_date"].state, joe["household_size"].state) == ("not_applicable", "absent")


def test_rejected_lines_are_told_by_number_and_reason_and_never_by_content(house: House, tmp_path):
    path = write(
        tmp_path,
        "scheme,id,full_name,birth_date,household_size\n"
        "national-id,VAL-1,Jane Secret,1990-05-06,2\n"  # 2
        "national-id,val 1,Again Secret,1990-05-06,2\n"  # 3
        "national-id,VAL-3,Bad Secret,1990-02-30,2\n"  # 4
        "national-id,VAL-4,Short Secret\n"  # 5
        'national-id,VAL-5,"Open Secret,1990-05-06,2\n'  # 6
        "National,VAL-6,Scheme Secret,1990-05-06,2\n"  # 7
        "national-id,--,No Secret,1990-05-06,2\n"  # 8
        "national-id,VAL-8,@secret,1990-05-06,2\n"  # 9
        "national-id,VAL-9,Number Secret,1990-05-06,many secret\n"  # 10
        "sub,secretsecret,Nobody Secret,1990-05-06,2\n"  # 11
        "national-id,VAL-11,Last Secret,1990-05-06,\n",  # 12
    )
    heard = []
    report = import_file(house.exchange, path, REGISTER, now=house.clock(), on_rejected=heard.append, chunk_lines=4)
    assert (report.imported, report.rejected_count) == (2, 9)
    reasons = {one.line: one.reason for one in report.rejected}
    assert list(reasons) == list(range(3, 12))
    assert heard == list(report.rejected)
    for line, expected in {
        3: "earlier line",
        4: "birth_date: not a date",
        5: "3 cells, expected 5",
        6: "quoted cell",
        7: "scheme",
        8: "id has no visible",
        9: "full_name: after @",
        10: "household_size: not an integer",
        11: "pseudonym",
    }.items():
        assert expected in reasons[line]
    assert "ecret" not in str(report) + str(heard)
    assert people(house) == 2


def test_the_same_person_under_another_name_is_refused_in_a_later_chunk_too(house: House, tmp_path):
    value = house.exchange.pseudonyms.derive(agency=REGISTER, subject_ref=house.people[ANNA])
    with house.exchange.database.write() as connection:
        row = {"agency": REGISTER, "value": value, "subject_ref": house.people[ANNA]}
        connection.execute(tables.pseudonym.insert().values(**row))
        connection.commit()
    path = write(
        tmp_path,
        f"scheme,id,household_size\n{ANNA.scheme},{ANNA.id},4\nnational-id,VAL-1,1\nsub,{value},5\n",
    )
    for chunk in (1, 200):
        report = import_file(house.exchange, path, REGISTER, now=house.clock(), chunk_lines=chunk, from_start=True)
        assert [(one.line, one.reason) for one in report.rejected] == [
            (4, "the person stands in an earlier line of the file")
        ]
        assert held(house.exchange, house.people[ANNA])["household_size"].value == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no header"),
        ("scheme,full_name\n", "no column id"),
        ("national-id,VAL-1,Jane Secret,1990\n", "column 1: neither"),
        ("scheme,id,annual_income\n", "column 3: annual_income is supplied by another agency"),
        ("scheme,id,full_name,full_name\n", "stands twice"),
        ("scheme,id,full_name.label\n", "no code"),
        ('scheme,id,"full_name\n', "quoted"),
    ],
)
def test_a_file_that_cannot_be_imported_at_all_says_why(house: House, tmp_path, text, said):
    with pytest.raises(ImportFileError) as caught:
        import_file(house.exchange, write(tmp_path, text), REGISTER, now=house.clock())
    assert said in str(caught.value)
    assert "Secret" not in str(caught.value)
    assert people(house) == 0


def test_other_files_and_providers_are_refused(house: House, tmp_path):
    with pytest.raises(ImportFileError, match="named"):
        import_file(house.exchange, write(tmp_path, "", "people.xlsx"), REGISTER, now=house.clock())
    with pytest.raises(ImportFileError, match="cannot be read"):
        import_file(house.exchange, tmp_path / "missing.csv", REGISTER, now=house.clock())
    with pytest.raises(UnknownAgencyError):
        import_file(house.exchange, register(tmp_path, 1), "nobody", now=house.clock())


def test_a_file_that_was_imported_is_not_imported_again_unless_that_is_wanted(house: House, tmp_path):
    path = register(tmp_path, 30)
    import_file(house.exchange, path, REGISTER, now=house.clock(), chunk_lines=7)
    before = versions(house.exchange, find(house, "VAL-400003-0"))
    again = import_file(house.exchange, path, REGISTER, now=house.clock())
    assert (again.imported, again.rejected_count, again.resumed_at) == (30, 0, 32)
    assert versions(house.exchange, find(house, "VAL-400003-0")) == before
    import_file(house.exchange, path, REGISTER, now=house.clock(), from_start=True)
    assert versions(house.exchange, find(house, "VAL-400003-0"))["full_name"] == 2
    assert people(house) == 30


class Stopped(Exception):
    """Pulled out in the middle."""


def test_an_import_that_was_stopped_goes_on_with_any_chunk_and_lists_all_rejected_lines(house: House, tmp_path):
    path = register(tmp_path, 50)
    with path.open("a") as file:
        file.write("national-id,VAL-400001-0,Again,1,1990-01-01\n")
    text = path.read_text().replace("Person 3,3,", "Person 3,three,", 1)
    path.write_text(text)

    def stop(progress: Progress) -> None:
        if progress.line >= 21:
            raise Stopped

    with pytest.raises(Stopped):
        import_file(house.exchange, path, REGISTER, now=house.clock(), chunk_lines=10, on_progress=stop)
    assert people(house) == 19
    seen: list[Progress] = []
    report = import_file(house.exchange, path, REGISTER, now=house.clock(), chunk_lines=7, on_progress=seen.append)
    assert (report.imported, report.rejected_count, report.resumed_at) == (49, 2, 22)
    assert [one.line for one in report.rejected] == [5, 52]
    assert people(house) == 49
    assert seen[-1].bytes_done == seen[-1].bytes_total == path.stat().st_size
    assert set(versions(house.exchange, find(house, "VAL-400001-0")).values()) == {1}
    assert_log_is_sound(house)


def test_a_chunk_is_written_whole_or_not_at_all(house: House, tmp_path, monkeypatch):
    path = register(tmp_path, 20)
    original = importing.store.keep_import_place

    def fail(*args: object, **kwargs: object) -> bool:
        original(*args, **kwargs)
        raise Stopped

    monkeypatch.setattr(importing.store, "keep_import_place", fail)
    with pytest.raises(Stopped):
        import_file(house.exchange, path, REGISTER, now=house.clock())
    assert people(house) == 0
    monkeypatch.undo()
    assert import_file(house.exchange, path, REGISTER, now=house.clock()).imported == 20


def test_two_imports_of_one_file_do_not_both_go_on(house: House, tmp_path):
    path = register(tmp_path, 30)

    def other(progress: Progress) -> None:
        if progress.line < 15:
            import_file(house.exchange, path, REGISTER, now=house.clock(), chunk_lines=10)

    with pytest.raises(ContentionError, match="another import"):
        import_file(house.exchange, path, REGISTER, now=house.clock(), chunk_lines=10, on_progress=other)
    assert people(house) == 30


KILLED = """
import sys
from datetime import datetime, timezone
from pathlib import Path
from api import wiring
from api.config import Config, Environment
from exchange.importing import import_file

folder, url, path = sys.argv[1:]
config = Config(environment=Environment.DEVELOPMENT, public_url="http://127.0.0.1:8000", database_url=url,
                unsafe_local_keys_dir=Path(folder) / "keys")
services = wiring.open_services(config, "cli")
def tell(progress):
    print(progress.line, flush=True)
import_file(services.exchange, Path(path), "population-register", now=datetime.now(timezone.utc), on_progress=tell,
            chunk_lines=25)
"""


@pytest.mark.parametrize("after", [1, 4])
def test_killed_at_any_point_it_leaves_nothing_half_and_goes_on(house: House, tmp_path, database_url, after):
    path = register(tmp_path, 1000)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), database_url, str(path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        for _ in range(after):
            process.stdout.readline()
        time.sleep(0.003 * after)  # somewhere inside the next chunk
        process.send_signal(signal.SIGKILL)
    with house.exchange.database.read() as connection:
        progress = connection.execute(
            select(tables.import_progress.c.next_line, tables.import_progress.c.imported)
        ).one()
        rows = connection.execute(select(func.count()).select_from(tables.subject_identifier)).scalar_one() - 2
    assert rows == people(house) == progress.imported == progress.next_line - 2
    assert 25 * after <= progress.imported < 1000
    assert_log_is_sound(house)
    report = import_file(house.exchange, path, REGISTER, now=house.clock())
    assert (report.imported, report.rejected_count) == (1000, 0)
    assert report.resumed_at == progress.next_line
    assert people(house) == 1000
    for n in (0, progress.imported - 1, progress.imported, 999):
        ref = find(house, f"VAL-4{n:05d}-0")
        assert set(versions(house.exchange, ref).values()) == {1}
        assert_values_match_the_log(house, ref)
    assert_log_is_sound(house)
