"""The hot path's way to the driver: Core statements, compiled once, all of a release in one go.

The only place that steps around SQLAlchemy's execution, and for one reason: a release writes nine rows, and building a
result object for each cost more than all its cryptography (docs/benchmarks.md). The statements are the same Core
statements as everywhere; types are bound by SQLAlchemy's own processors; a change of an audited table is noticed as
everywhere. On PostgreSQL a batch is one round trip (``exchange.postgres_batch``), whose outcomes are checked before the
commit.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Delete, Dialect, Insert, Select, Update

from exchange.changes import note_change

if TYPE_CHECKING:
    from exchange.postgres_batch import BoundStatement

Statement = Insert | Update | Delete | Select[Any]
Check = Callable[[Any], None]
_WAITING: Final = "cdx_batch"  # of a connection: what a batch that is being made will send


class _Compiled:
    """One statement for one dialect."""

    __slots__ = ("names", "positional", "processors", "results", "row", "sql", "table")

    def __init__(self, statement: Statement, dialect: Dialect, columns: Sequence[str] | None) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=None if columns is None else list(columns))
        self.sql = str(compiled)
        self.positional: list[str] | None = getattr(compiled, "positiontup", None) if compiled.positional else None
        processors = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in compiled.binds.items()
        }
        # Constants that stand in the statement itself ("GIVEN") are parameters too.
        self.names = {name: bind.effective_value for name, bind in compiled.binds.items()}
        self.processors = {name: processor for name, processor in processors.items() if processor is not None}
        self.table: str | None = None if isinstance(statement, Select) else str(statement.table.description)
        columns_read = list(statement.selected_columns) if isinstance(statement, Select) else []
        self.row = _row_type(tuple(str(column.key) for column in columns_read))
        converters = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns_read]
        self.results = [(place, process) for place, process in enumerate(converters) if process is not None]

    def bind(self, values: Mapping[str, Any]) -> Any:
        """Values as the driver takes them."""
        bound = {name: values.get(name, constant) for name, constant in self.names.items()}
        for name, process in self.processors.items():
            bound[name] = process(bound[name])
        return bound if self.positional is None else [bound[name] for name in self.positional]


def _row_type(names: tuple[str, ...]) -> Callable[..., Any]:
    made: Callable[..., Any] = namedtuple("Row", names)  # type: ignore[misc]  # its names are known only here
    return made


class Prepared:
    """A statement that is compiled at its first use.

    Args:
        statement: the same for both databases, or one for each by dialect name.
        columns: of an insert: the columns that every call gives.
    """

    __slots__ = ("_bound", "_columns", "_compiled", "_statement")

    def __init__(self, statement: Statement | Mapping[str, Statement], *, columns: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._columns = columns
        self._compiled: dict[str, _Compiled] = {}
        self._bound: BoundStatement | None = None

    def execute(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """Run in the connection's transaction; a cursor. Result values are the driver's, unconverted.

        On PostgreSQL, within :func:`run_batch`, it is only put into the batch, and there is no cursor.
        """
        if connection.dialect.name == "postgresql":
            outcomes = self._on_postgres(connection, [values])
            return outcomes[0] if outcomes else None
        compiled = self._for(connection.dialect)
        cursor = _driver(connection).cursor()
        cursor.execute(compiled.sql, compiled.bind(values))
        if compiled.table is not None:
            note_change(connection, compiled.table)
        return cursor

    def fetch(self, connection: Connection, values: Mapping[str, Any]) -> list[Any]:
        """Run a select; its rows as named tuples, values in the types of the columns."""
        compiled = self._for(connection.dialect)
        read: list[Sequence[Any]] = self.execute(connection, values).fetchall()
        rows: list[Any] = []
        for number, raw in enumerate(read):
            row = list(raw)
            for place, process in compiled.results:
                # What a join repeats from row to row is converted once.
                same = number > 0 and raw[place] == read[number - 1][place]
                row[place] = rows[-1][place] if same else process(raw[place])
            rows.append(compiled.row(*row))
        return rows

    def execute_many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run once for each row, in the driver's bulk form."""
        if connection.dialect.name == "postgresql":
            self._on_postgres(connection, rows)
            return
        compiled = self._for(connection.dialect)
        cursor = _driver(connection).cursor()
        cursor.executemany(compiled.sql, [compiled.bind(row) for row in rows])
        if compiled.table is not None:
            note_change(connection, compiled.table)

    def execute_rows(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        """Run once for each row, whose values are in the driver's own types and in the order of the columns."""
        compiled = self._for(connection.dialect)
        cursor = _driver(connection).cursor()
        cursor.executemany(compiled.sql, rows)
        if compiled.table is not None:
            note_change(connection, compiled.table)

    def _on_postgres(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        from exchange import postgres_batch  # noqa: PLC0415  # SQLite installations need not load it

        if self._bound is None:
            self._bound = postgres_batch.BoundStatement(self._for_dialect("postgresql"), self._columns)
        bound = [(self._bound, self._bound.bind(row)) for row in rows]
        _driver(connection)
        if (table := self._for(connection.dialect).table) is not None:
            note_change(connection, table)
        if (waiting := connection.info.get(_WAITING)) is not None:
            waiting.extend(bound)
            return []
        return list(postgres_batch.run(connection, bound))

    def _for_dialect(self, name: str) -> Statement:
        return self._statement[name] if isinstance(self._statement, Mapping) else self._statement

    def _for(self, dialect: Dialect) -> _Compiled:
        known = self._compiled.get(dialect.name)
        if known is None:
            known = self._compiled[dialect.name] = _Compiled(self._for_dialect(dialect.name), dialect, self._columns)
        return known


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One write of a batch, and what must come of it: ``check`` gets the cursor and raises."""

    statement: Prepared
    values: Mapping[str, Any]
    check: Check | None = None


def run_batch(connection: Connection, steps: Sequence[Step], then: Callable[[], None]) -> None:
    """Run all steps and ``then`` in the connection's transaction; nothing is committed here.

    On PostgreSQL all go out before the first outcome is looked at, ``then``'s prepared statements included, so no step
    may depend on another's outcome. The first check that raises ends it, and the caller rolls back: whatever was sent
    after it vanishes with the transaction.
    """
    if connection.dialect.name == "sqlite":
        for step in steps:
            cursor = step.statement.execute(connection, step.values)
            if step.check is not None:
                step.check(cursor)
        then()
        return
    from exchange import postgres_batch  # noqa: PLC0415  # SQLite installations need not load it

    waiting = connection.info[_WAITING] = []
    try:
        for step in steps:
            step.statement.execute(connection, step.values)
        then()
    finally:
        del connection.info[_WAITING]
    outcomes = postgres_batch.run(connection, waiting)
    for step, outcome in zip(steps, outcomes[: len(steps)], strict=True):
        if step.check is not None:
            step.check(outcome)


def _driver(connection: Connection) -> Any:
    """The driver's connection, in a transaction that SQLAlchemy knows of and will commit."""
    if not connection.in_transaction():
        connection.begin()
    return connection.connection.driver_connection


def affected(error: Callable[[], Exception]) -> Check:
    """A check that exactly one row was written."""

    def check(cursor: Any) -> None:
        if cursor.rowcount != 1:
            raise error()

    return check
