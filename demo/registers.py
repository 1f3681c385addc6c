"""What the three supplying agencies of Valdoria hold, in the shape in which such things are found.

The population register exports CSV, the tax authority JSON Lines; both are imported into the vault. The vehicle
registry is an old database that stays where it is and is asked live.
"""

import csv
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from demo.people import AS_OF, Code, Person, Value

COUNTRY = Path(__file__).parent / "country"
SCHEME = "national-id"
DATABASE = "vehicles.db"
MAPPING = "vehicle-registry.yaml"
_CLOSED_UNTIL = "20301231"


def write_population(path: Path, everybody: Sequence[Person]) -> None:
    """The population register's export: CSV, codes with their labels in a column of their own."""
    names = list(everybody[0].civil)
    coded = [name for name in names if any(isinstance(person.civil[name], Code) for person in everybody)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["scheme", "id", "last_updated", *names, *(f"{name}.label" for name in coded)])
        for person in everybody:
            held = [person.civil[name] for name in names]
            labels = [value.label if isinstance(value := person.civil[name], Code) else "" for name in coded]
            writer.writerow([SCHEME, person.national_id, AS_OF.isoformat(), *map(_cell, held), *labels])


def write_tax(path: Path, everybody: Sequence[Person]) -> int:
    """The tax authority's export: JSON Lines, about those whom it knows. Gives their number."""
    known = [person for person in everybody if person.tax]
    with path.open("w", encoding="utf-8") as file:
        for person in known:
            record = {"scheme": SCHEME, "id": person.national_id, "last_updated": AS_OF.isoformat()}
            record |= {name: _member(value) for name, value in person.tax.items()}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    return len(known)


def make_vehicle_registry(path: Path, everybody: Sequence[Person]) -> int:
    """The vehicle registry's database. Gives the number of people in it."""
    holders = [person for person in everybody if person.licence or person.vehicles or person.parking_badge]
    with sqlite3.connect(path) as database:
        database.executescript((COUNTRY / "vehicle-registry.sql").read_text(encoding="utf-8"))
        database.executemany("INSERT INTO LICHLD VALUES (?, ?, ?, ?, ?, ?)", map(_licence_row, holders))
        database.executemany(
            "INSERT OR IGNORE INTO VEHREG VALUES (?, ?, ?, ?, ?, 'A')",
            [
                (vehicle.plate, vehicle.kind, vehicle.emission, f"{vehicle.first_registered:%d.%m.%Y}", _old_id(person))
                for person in holders
                for vehicle in person.vehicles
            ],
        )
    database.close()
    return len(holders)


def write_mapping(folder: Path, *, issuer: str) -> Path:
    """The mapping of the vehicle registry for an exchange at another address than the one in the example."""
    mapping: dict[str, Any] = yaml.safe_load((COUNTRY / MAPPING).read_text(encoding="utf-8"))
    mapping["exchange"]["issuer"] = issuer
    path = folder / MAPPING
    path.write_text(yaml.safe_dump(mapping, sort_keys=False), encoding="utf-8")
    return path


def _cell(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return value.code if isinstance(value, Code) else str(value)


def _member(value: Value) -> Any:
    return value._asdict() if isinstance(value, Code) else value


def _licence_row(person: Person) -> tuple[str, str | None, str | None, str, str | None, str]:
    classes = None if person.licence is None else person.licence.ljust(12)
    until = None if person.licence_until is None else f"{person.licence_until:%Y%m%d}"
    # Those who hold an office may close their record for a while.
    closed = _CLOSED_UNTIL if person.civil["public_office"] else None
    return _old_id(person), classes, until, "Y" if person.parking_badge else "N", closed, f"{AS_OF:%Y%m%d}"


def _old_id(person: Person) -> str:
    return person.national_id.replace("-", "")
