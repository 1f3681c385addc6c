"""Reads an old registry through the one view that its mapping names: SELECT with bound parameters, nothing else.

Read-only three times over: SQLite is opened with ``mode=ro`` and ``query_only``; PostgreSQL gets READ ONLY
transactions, each of them and as the session's default; and no statement but the few SELECTs below is ever made. What
cannot be read as the type that the mapping promises is ``unavailable``: an odd record neither stops the others nor
shows itself in an error.
"""

import math
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    QueuePool,
    Select,
    String,
    TableClause,
    bindparam,
    column,
    create_engine,
    select,
    table,
)
from sqlalchemy.exc import SQLAlchemyError

from crypto.blind_index import normalise
from crypto.errors import MalformedError
from exchange.errors import DatabaseError
from exchange.model import HeldValue, SubjectName
from exchange.providers.mapping import MappedAttribute, MappingError, RegistryMapping
from exchange.providers.protocol import AnswerLine
from exchange.providers.values import PRESENT, UNAVAILABLE, fault_in

_Row = dict[str, Any]


class Registry:
    """The registry behind a mapping. Opens nothing until it is asked."""

    def __init__(self, mapping: RegistryMapping) -> None:
        self.mapping = mapping
        self._engine = _open(mapping)
        self._view = _view(mapping)

    def check(self) -> None:
        """See that the view is there with every column that the mapping names.

        Raises:
            MappingError: lists what is not.
            DatabaseError: the registry cannot be reached.
        """
        with self._reading():
            pass  # reachable: what fails from here on is the mapping
        faults = []
        for name in self.mapping.columns:
            try:
                with self._reading() as connection:
                    connection.execute(select(self._view.c[name]).limit(0))
            except DatabaseError:
                faults.append(f"the view {self.mapping.view} cannot be read, or has no column {name}")
        if faults:
            raise MappingError("\n".join(faults))

    def answer(self, subject: SubjectName, attributes: Sequence[str], *, today: date) -> list[AnswerLine]:
        """What the registry says about a person, one line for each attribute asked for.

        Raises:
            DatabaseError: the registry cannot be reached, or takes too long.
        """
        statement, asked = self._find(subject)
        rows: Sequence[_Row] = []
        if statement is not None:
            with self._reading() as connection:
                rows = [dict(row) for row in connection.execute(statement, {"asked": asked}).mappings()]
        if len(rows) != 1:
            return [AnswerLine(name=name, state="ambiguous" if rows else "not_held") for name in attributes]
        return self._lines(rows[0], attributes, today)

    def sample(self, limit: int, *, today: date) -> list[tuple[dict[str, str], list[AnswerLine]]]:
        """Some rows: the identifiers by scheme, and what would be answered. In the clear: mask before showing.

        Raises:
            DatabaseError: the registry cannot be reached, or takes too long.
        """
        with self._reading() as connection:
            rows = [dict(row) for row in connection.execute(select(*self._view.c).limit(limit)).mappings()]
        names = list(self.mapping.attributes)
        return [
            (
                {scheme: str(row[one.column]) for scheme, one in self.mapping.subjects.items()},
                self._lines(row, names, today),
            )
            for row in rows
        ]

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _find(self, subject: SubjectName) -> tuple[Select[Any] | None, Any]:
        where = self.mapping.subjects.get(subject.scheme)
        if where is None:
            return None, None
        asked: str | int = subject.id
        if where.normalised:
            try:
                asked = normalise(subject.id)
            except MalformedError:
                return None, None
        if where.type == "integer":
            if not (subject.id.isascii() and subject.id.isdigit() and len(subject.id) < 19):
                return None, None
            asked = int(subject.id)
        if "\x00" in subject.id:  # PostgreSQL has no such text
            return None, None
        # Two are enough to know that it is not one.
        return select(*self._view.c).where(self._view.c[where.column] == bindparam("asked")).limit(2), asked

    def _lines(self, row: _Row, attributes: Sequence[str], today: date) -> list[AnswerLine]:
        closed = self._closed_until(row)
        if closed is not None and (closed == UNAVAILABLE or closed > today.isoformat()):
            state, until = (UNAVAILABLE, None) if closed == UNAVAILABLE else ("closed_until", closed)
            return [AnswerLine(name=name, state=state, until=until) for name in attributes]
        return [_read(self.mapping.attributes.get(name), name, row) for name in attributes]

    def _closed_until(self, row: _Row) -> str | None:
        """The date, or ``unavailable`` where the column holds something that is no date: closed is the safe reading."""
        cell = None if self.mapping.closed_until is None else _plain(row[self.mapping.closed_until])
        if cell in (None, ""):
            return None
        return _date(cell, None) or UNAVAILABLE

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection, _limited(connection, self.mapping.timeout_seconds):
                yield connection
        except SQLAlchemyError as exc:
            # The driver's text may quote values: only its class is passed on.
            raise DatabaseError(f"the registry does not answer ({type(exc).__name__})") from None


def _open(mapping: RegistryMapping) -> Engine:
    if mapping.url.get_backend_name() == "sqlite":
        path = Path(str(mapping.url.database)).absolute()

        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, check_same_thread=False)
            connection.execute("PRAGMA query_only=ON")
            return connection

        return create_engine("sqlite://", creator=connect, poolclass=QueuePool)
    options = f"-c default_transaction_read_only=on -c statement_timeout={mapping.timeout_seconds * 1000}"
    engine = create_engine(
        mapping.url,
        connect_args={"options": options, "connect_timeout": mapping.timeout_seconds},
        pool_pre_ping=True,  # a registry may restart at night
    )
    return engine.execution_options(postgresql_readonly=True)


@contextmanager
def _limited(connection: Connection, seconds: int) -> Iterator[None]:
    """PostgreSQL stops a statement itself; SQLite is interrupted."""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver = connection.connection.driver_connection
    timer = threading.Timer(seconds, driver.interrupt)  # type: ignore[union-attr]  # open for as long as this block
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _view(mapping: RegistryMapping) -> TableClause:
    typed = {one.column: BigInteger() if one.type == "integer" else String() for one in mapping.subjects.values()}
    # Every column is written with its view: SQLite takes a quoted name that it does not know for a text.
    columns: list[Any] = [column(name, typed.get(name)) for name in mapping.columns]
    return table(mapping.view, *columns, schema=mapping.schema)


def _read(mapped: MappedAttribute | None, name: str, row: _Row) -> AnswerLine:
    if mapped is None:
        return AnswerLine(name=name, state="not_held")
    cell = _plain(row[mapped.column])
    if cell is None:
        return AnswerLine(name=name, state=mapped.when_null)
    if cell == "":
        return AnswerLine(name=name, state=mapped.when_empty)
    state = mapped.states.get(str(cell))
    if state is not None:
        return AnswerLine(name=name, state=state)
    held = HeldValue(
        name=name,
        provider="",
        state=PRESENT,
        value=_value(cell, mapped, row),
        last_updated=_date_of(row, mapped.last_updated),
        valid_until=_date_of(row, mapped.valid_until),
    )
    if fault_in(held, mapped.type) is not None:
        return AnswerLine(name=name, state=UNAVAILABLE)
    return AnswerLine(
        name=name,
        state=PRESENT,
        value=held.value,
        last_updated=held.last_updated,
        valid_until=held.valid_until,
        assurance=mapped.assurance,
        source_class=mapped.source_class,
    )


def _plain(cell: Any) -> Any:
    """Old registries pad texts with spaces."""
    return cell.strip() if isinstance(cell, str) else cell


def _value(cell: Any, mapped: MappedAttribute, row: _Row) -> Any:
    """The value, or None where the cell does not hold one of this type."""
    match mapped.type:
        case "string":
            return _text(cell)
        case "integer":
            return _integer(cell)
        case "date":
            return _date(cell, mapped.date_format)
        case "boolean":
            return _boolean(cell, mapped)
        case "money":
            return _money(cell)
        case "code":
            code = _text(cell)
            if code is None:
                return None
            label = _plain(row[mapped.label_column]) if mapped.label_column else mapped.labels.get(code)
            return {"code": code, "label": _text(label) or code}
    return None


def _text(cell: Any) -> str | None:
    if isinstance(cell, str):
        return cell
    return str(cell) if isinstance(cell, int) and not isinstance(cell, bool) else None


def _integer(cell: Any) -> int | None:
    if isinstance(cell, bool):
        return None
    if isinstance(cell, int):
        return cell
    if isinstance(cell, Decimal | float):
        return int(cell) if math.isfinite(cell) and cell == int(cell) else None
    if isinstance(cell, str) and len(cell) < 19 and cell.removeprefix("-").isdecimal() and cell.isascii():
        return int(cell)
    return None


def _date(cell: Any, form: str | None) -> str | None:
    if isinstance(cell, date):  # a datetime is one, too
        return cell.strftime("%Y-%m-%d") if cell.year >= 1000 else None
    if not isinstance(cell, str):
        return None
    try:
        if form is not None:
            return datetime.strptime(cell, form).date().isoformat()  # noqa: DTZ007  # a day, not a moment
        return date.fromisoformat(cell[:10]).isoformat()
    except ValueError:
        return None


def _date_of(row: _Row, name: str | None) -> str | None:
    return None if name is None else _date(_plain(row[name]), None)


def _boolean(cell: Any, mapped: MappedAttribute) -> bool | None:
    if mapped.values:
        return mapped.values.get(str(cell))
    if isinstance(cell, bool):
        return cell
    return {0: False, 1: True}.get(cell) if isinstance(cell, int) else None


def _money(cell: Any) -> str | int | None:
    if isinstance(cell, bool):
        return None
    if isinstance(cell, int | str):
        return cell
    if isinstance(cell, float | Decimal) and math.isfinite(cell):
        text = f"{cell:.2f}"
        # More than two places would be rounded here, and an amount must not change on the way.
        return text if Decimal(text) == Decimal(str(cell)) else None
    return None
