"""Prepared statements on PostgreSQL, any number in one round trip: libpq's pipeline mode, one write and one read.

psycopg's own pipeline makes a cursor for each statement, and sends and polls after each; for the ten small writes of a
release that was a quarter of what a request cost the web process. Here the statements of ``exchange.prepared`` are
prepared once for each connection, and their values go out in PostgreSQL's binary forms. psycopg itself prepares nothing
(``exchange.database``): it takes back all statements of a connection after a rollback, ours too.

Either every outcome is returned, or the first error is raised after all answers were read: the connection is then as
after any failed statement, and the caller rolls back.
"""

import select
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import psycopg
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult
from sqlalchemy import BigInteger, Connection, Dialect, Integer, LargeBinary, String, TypeDecorator, Uuid
from sqlalchemy.dialects.postgresql import psycopg as dialects
from sqlalchemy.sql.type_api import TypeEngine

Encode = Callable[[Any], bytes | None]

_KNOWN: Final = "cdx_prepared_statements"
_BINARY: Final = 1
_SENT_AT_ONCE: Final = 64  # answers to so few statements wait in the buffers of the socket while the rest is sent


class BoundStatement:
    """A Core statement in libpq's terms: its text with ``$1`` …, the types of its parameters, and how to write them."""

    __slots__ = ("_parameters", "name", "sql", "types")

    def __init__(self, statement: Any, columns: Sequence[str] | None) -> None:
        """Compile. Raises TypeError for a parameter of a type that is not known here."""
        dialect = dialects.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # SQLAlchemy gives none
        compiled = statement.compile(dialect=dialect, column_keys=None if columns is None else list(columns))
        self.sql = str(compiled).encode()
        binds = [compiled.binds[name] for name in compiled.positiontup]
        forms = [_form(bind.type, dialect) for bind in binds]
        self.types = [type_oid for type_oid, _ in forms]
        # Of its content: a name never means two statements, whoever prepared it on a connection.
        self.name = b"cdx_" + sha256(self.sql + repr(self.types).encode()).hexdigest()[:32].encode()
        self._parameters = [
            (name, bind.effective_value, encode)
            for name, bind, (_, encode) in zip(compiled.positiontup, binds, forms, strict=True)
        ]

    def bind(self, values: Mapping[str, Any]) -> list[bytes | None]:
        """The parameters for libpq."""
        return [encode(values.get(name, constant)) for name, constant, encode in self._parameters]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a statement: the two things that a check asks a cursor for."""

    _result: PGresult
    _driver: "psycopg.Connection[Any]"

    @property
    def rowcount(self) -> int:
        """How many rows were written or found."""
        return self._result.command_tuples or 0

    def fetchone(self) -> Any:
        """The first row, or None."""
        return next(iter(self.fetchall()), None)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows, in the driver's own types."""
        reader = Transformer(self._driver)
        reader.set_pgresult(self._result)
        return reader.load_rows(0, self._result.ntuples, tuple)


def run(connection: Connection, statements: Sequence[tuple[BoundStatement, Sequence[bytes | None]]]) -> list[Outcome]:
    """Run statements in the connection's transaction, which begins with them if there is none.

    Raises:
        psycopg.Error: the first that failed.
    """
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # the dialect says so
    _prepare(driver, connection.info.setdefault(_KNOWN, set()), [statement for statement, _ in statements])
    try:
        return [
            Outcome(result, driver)
            for start in range(0, len(statements), _SENT_AT_ONCE)
            for result in _round_trip(driver, statements[start : start + _SENT_AT_ONCE])
        ]
    except psycopg.errors.InvalidSqlStatementName:
        connection.invalidate()  # somebody else has taken our statements back: this connection is of no more use
        raise


def _prepare(driver: "psycopg.Connection[Any]", known: set[bytes], statements: Sequence[BoundStatement]) -> None:
    for statement in statements:
        if statement.name not in known:
            result = driver.pgconn.prepare(statement.name, statement.sql, statement.types)
            if result.status != ExecStatus.COMMAND_OK:
                raise error_from_result(result)
            known.add(statement.name)  # lives as long as the connection, whatever becomes of the transaction


def _round_trip(
    driver: "psycopg.Connection[Any]", statements: Sequence[tuple[BoundStatement, Sequence[bytes | None]]]
) -> list[PGresult]:
    wire = driver.pgconn
    begins = wire.transaction_status == TransactionStatus.IDLE and not driver.autocommit
    wire.enter_pipeline_mode()
    if begins:
        wire.send_query_params(b"BEGIN", None)
    for statement, parameters in statements:
        wire.send_query_prepared(statement.name, parameters, [_BINARY] * len(parameters), _BINARY)
    wire.pipeline_sync()
    results = _results(wire)
    wire.exit_pipeline_mode()
    for result in results:
        if result.status == ExecStatus.FATAL_ERROR:
            raise error_from_result(result)
    return results[1:] if begins else results


def _results(wire: PGconn) -> list[PGresult]:
    # libpq would wait by itself, but with Python's lock held: other threads could not go on.
    poller = select.poll()
    while wire.flush():
        poller.register(wire.socket, select.POLLIN | select.POLLOUT)
        poller.poll()
        wire.consume_input()
    poller.register(wire.socket, select.POLLIN)
    found: list[PGresult] = []
    ended = False
    while True:
        while wire.is_busy():
            poller.poll()
            wire.consume_input()
        result = wire.get_result()
        if result is None:  # after each statement once
            if ended:
                raise psycopg.OperationalError("the connection is lost")
            ended = True
        elif result.status == ExecStatus.PIPELINE_SYNC:
            return found
        else:
            found.append(result)
            ended = False


def _form(declared: TypeEngine[Any], dialect: Dialect) -> tuple[int, Encode]:
    """The type of a parameter in PostgreSQL, and how a value of it is written in its binary form."""
    if isinstance(declared, TypeDecorator):
        process = declared.bind_processor(dialect)
        type_oid, encode = _form(declared.impl_instance, dialect)
        return type_oid, encode if process is None else (lambda value: encode(process(value)))
    for kind, type_oid, write in _FORMS:
        if isinstance(declared, kind):
            return type_oid, _unless_null(write)
    raise TypeError(f"a parameter of the type {type(declared).__name__} is not known here")


def _unless_null(write: Callable[[Any], bytes]) -> Encode:
    return lambda value: None if value is None else write(value)


# In PostgreSQL's own numbering of its types (catalogue pg_type); a BigInteger is an Integer to SQLAlchemy.
_FORMS: Final[tuple[tuple[type[TypeEngine[Any]], int, Callable[[Any], bytes]], ...]] = (
    (Uuid, 2950, lambda value: value.bytes),
    (LargeBinary, 17, bytes),
    (BigInteger, 20, struct.Struct(">q").pack),
    (Integer, 23, struct.Struct(">i").pack),
    (String, 25, lambda value: value.encode("utf-8")),
)
