"""The composition root: from a configuration to the exchange's parts. Nothing else reads key files or opens a database.

Two kinds of process, told apart by the keys they hold: whoever serves or administers opens the *web* keyset
(:func:`open_services`); the sequencer opens the *log* keyset and nothing else (:func:`open_log`).
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import insert, select

from api import log_keys, schema
from api.config import Config
from api.errors import ConfigError
from api.keyfiles import key_files, make_keyset, read_keyset, write_public
from crypto.blind_index import BlindIndex
from crypto.checkpoint import NoteSigner, NoteVerifier
from crypto.envelope import LocalKeyWrapper, generate_kek, wrap_kek
from crypto.ids import new_id
from crypto.jose import SigningKey
from crypto.keyset import KeyPurpose, Keyset
from crypto.pseudonym import PseudonymKey
from exchange.audit import journal, log
from exchange.audit.age import read_checkpoint_note, refuse_older, refuse_unfinished
from exchange.audit.generations import verifiers
from exchange.audit.journal_files import JournalWriter, read_checkpoint
from exchange.audit.journal_keeper import JournalKeeper
from exchange.audit.proofs import Prover
from exchange.audit.quorum import Quorum
from exchange.audit.sequencer import Sequencer
from exchange.audit.witness_client import clients_of
from exchange.context import Exchange, Installation
from exchange.database import Database
from exchange.events import Event, EventType
from exchange.keyring import Keyring
from exchange.model import SubjectStatus
from exchange.providers.addresses import AddressPolicy
from exchange.providers.http import LiveProviders
from exchange.tables import installation as installation_table
from exchange.tables import kek as kek_table
from exchange.tables import subject as subject_table
from exchange.verifier_keys import VerifierKey, record_added

FIRST_EPOCH = 1
_POOL: dict[str, int] = {"web": 8, "cli": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the web applications and the command line work with."""

    config: Config
    exchange: Exchange
    token_signer: SigningKey
    clock: Callable[[], datetime]
    proof_slots: threading.BoundedSemaphore  # held by requests that wait for their proof (api.v1.prefer)
    receipt_keys: tuple[SigningKey, ...]  # all that are good, the one in use first
    prover: Prover = field(default_factory=Prover)

    def close(self) -> None:
        """Close the database connections."""
        self.exchange.database.dispose()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogServices:
    """What the sequencer's process works with: no key opens anything about a person here."""

    config: Config
    database: Database
    installation: Installation
    sequencer: Sequencer
    journal: JournalKeeper | None  # None: no folder is configured
    quorum: Quorum | None  # None: no witnesses are configured
    clock: Callable[[], datetime]


def system_clock() -> datetime:
    """Now: aware UTC, whole milliseconds. Read once per use case and passed on (decision 23)."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def open_services(
    config: Config, role: Literal["web", "cli"] = "web", *, clock: Callable[[], datetime] = system_clock
) -> Services:
    """Compose the parts of an installation that ``cdx init`` has made.

    Raises:
        ConfigError: keys are missing or do not open, or the database is not initialised or not up to date.
        DatabaseError: the database cannot be reached.
    """
    keys = read_keyset(key_files(config, "web"))
    database = Database(config.connect_url(), pool_size=_POOL[role])
    try:
        exchange = _exchange(config, keys, database, read_installation(database))
    except BaseException:
        database.dispose()
        raise
    return _services(config, exchange, keys, clock)


def open_log(config: Config, *, clock: Callable[[], datetime] = system_clock) -> LogServices:
    """Compose the sequencer.

    Raises:
        ConfigError: as :func:`open_services`.
        DatabaseError: the database cannot be reached, or may lose commits.
    """
    keys = read_keyset(key_files(config, "log"))
    database = Database(config.log_connect_url(), pool_size=2)
    try:
        installation = read_installation(database)
        sequencer = Sequencer(
            database,
            # C2SP tlog-checkpoint: the log's key bears the name of its origin.
            log_keys.signers(keys, installation.origin),
            origin=installation.origin,
            clock=clock,
            verifiers=log_keys.retired(keys, installation.origin),
        )
        keeper = _journal(config, keys, database, installation, clock)
        quorum = _quorum(config, keys, database, installation, clock)
    except BaseException:
        database.dispose()
        raise
    return LogServices(
        config=config,
        database=database,
        installation=installation,
        sequencer=sequencer,
        journal=keeper,
        quorum=quorum,
        clock=clock,
    )


def _journal(
    config: Config, keys: Keyset, database: Database, installation: Installation, clock: Callable[[], datetime]
) -> JournalKeeper | None:
    if config.journal_dir is None:
        return None
    with database.read() as connection:
        first = log.first_name(connection)
    publics = log_keys.publics(keys)
    writer = JournalWriter(
        config.journal_dir,
        origin=installation.origin,
        signers=log_keys.signers(keys, journal.key_name(installation.origin)),
        verifiers=verifiers(publics, first, of_journal=True),
    )
    return JournalKeeper(database, writer, verifiers=verifiers(publics, first), clock=clock)


def refuse_old_database(config: Config, database: Database) -> None:
    """Refuse to sign or serve on a database that is older than what is known of its log.

    Raises:
        OldDatabaseError: it is, or a restore was begun and not finished.
        JournalError, ConfigError: what is known cannot be read.
    """
    called = read_installation(database).origin
    with database.read() as connection:
        head = refuse_unfinished(connection, called)
        note = None if config.journal_dir is None else read_checkpoint(config.journal_dir)
        if note is not None:
            publics = [verifier.public for verifier in log_keys.published(config)]
            kept = read_checkpoint_note(note, verifiers(publics, log.first_name(connection)))
            refuse_older(connection, head, kept)


def _quorum(
    config: Config, keys: Keyset, database: Database, installation: Installation, clock: Callable[[], datetime]
) -> Quorum | None:
    policy = config.witness_policy()
    if policy is None:
        return None
    return Quorum(
        database,
        policy=policy,
        clients=clients_of(policy, opened=config.private_networks),
        verifiers=[
            *(NoteVerifier.parse(signer.vkey) for signer in log_keys.signers(keys, installation.origin)),
            *log_keys.retired(keys, installation.origin),
        ],
        origin=installation.origin,
        clock=clock,
        every_seconds=config.witness_every_seconds,
    )


def read_installation(database: Database) -> Installation:
    """Who we are.

    Raises:
        ConfigError: the schema is missing or old, or the installation was never initialised.
    """
    found, wanted = schema.current(database), schema.head()
    if found is None:
        raise ConfigError(["the database is empty: run `cdx init`"])
    if found != wanted:
        raise ConfigError([f"the database's schema is {found}, this version needs {wanted}: run `cdx db upgrade`"])
    row = _installation_row(database)
    if row is None:
        raise ConfigError(["the installation is not initialised: run `cdx init`"])
    return row


def initialise(config: Config, *, clock: Callable[[], datetime] = system_clock) -> Services:
    """Make an installation: keys, schema, who we are, the operator's key, the log. Interrupted, it may be run again.

    Raises:
        ConfigError: there is an installation already, or the key files cannot be written.
    """
    now = clock()
    url = config.connect_url()
    schema.upgrade(url)
    database = Database(url, pool_size=_POOL["cli"])
    try:
        _refuse_second(database)
        database.assert_durable()
        web = make_keyset(key_files(config, "web"), now)
        log_signer = NoteSigner(
            config.origin, make_keyset(key_files(config, "log"), now).primary(KeyPurpose.LOG_SIGNING).material
        )
        write_public(config.vkey_file, log_signer.vkey + "\n")
        exchange = _create(config, web, database, log_signer, now)
    except BaseException:
        database.dispose()
        raise
    return _services(config, exchange, web, clock)


def _create(config: Config, keys: Keyset, database: Database, log_signer: NoteSigner, now: datetime) -> Exchange:
    installation = Installation(id=new_id(now), origin=config.origin, operator_ref=new_id(now))
    exchange = _exchange(config, keys, database, installation)
    kek = generate_kek(FIRST_EPOCH)
    operator = installation.operator_ref
    receipt = exchange.receipt_signer
    with exchange.unit_of_work(now) as uow:
        connection = uow.connection
        connection.execute(
            insert(installation_table).values(
                id=installation.id, origin=installation.origin, operator_ref=operator, created_at=now
            )
        )
        connection.execute(
            insert(kek_table).values(
                epoch=kek.epoch, wrapped=wrap_kek(_wrapper(keys), kek), status="ACTIVE", created_at=now
            )
        )
        connection.execute(
            insert(subject_table).values(ref=operator, status=SubjectStatus.OPERATOR.value, version=1, created_at=now)
        )
        exchange.keyring.create(connection, operator, now)
        log.create(connection, origin=installation.origin, now=now)
        detail = {"installation": str(installation.id), "origin": installation.origin, "issuer": exchange.issuer}
        uow.record(Event(type=EventType.INSTALLATION_CREATED, org="cdx", detail=detail))
        uow.record(Event(type=EventType.KEK_CREATED, org="cdx", detail={"epoch": str(kek.epoch)}))
        receipt_key = VerifierKey(use="receipt", key=receipt.public_jwk()["x"], kid=receipt.kid)
        record_added(uow, [VerifierKey(use="log", key=log_signer.vkey), receipt_key])
        uow.commit()
    return exchange


def _exchange(config: Config, keys: Keyset, database: Database, installation: Installation) -> Exchange:
    index_key, pseudonym_key = keys.primary(KeyPurpose.BLIND_INDEX), keys.primary(KeyPurpose.PSEUDONYM)
    provider_signer = SigningKey.from_key(keys.primary(KeyPurpose.PROVIDER_SIGNING))
    return Exchange(
        database=database,
        installation=installation,
        issuer=config.public_url,
        keyring=Keyring(_wrapper(keys), installation_id=installation.id),
        blind_index=BlindIndex(
            key=index_key.material, version=index_key.version, table="subject_identifier", column="bidx"
        ),
        pseudonyms=PseudonymKey(key=pseudonym_key.material, version=pseudonym_key.version),
        answer_signer=SigningKey.from_key(keys.primary(KeyPurpose.ANSWER_SIGNING)),
        receipt_signer=SigningKey.from_key(keys.primary(KeyPurpose.RECEIPT_SIGNING)),
        provider_signer=provider_signer,
        live_providers=LiveProviders(
            issuer=config.public_url,
            signer=provider_signer,
            addresses=AddressPolicy(allowed=config.private_networks),
        ),
        settings=config.settings,
    )


def _services(config: Config, exchange: Exchange, keys: Keyset, clock: Callable[[], datetime]) -> Services:
    return Services(
        config=config,
        exchange=exchange,
        token_signer=SigningKey.from_key(keys.primary(KeyPurpose.TOKEN_SIGNING)),
        clock=clock,
        proof_slots=threading.BoundedSemaphore(config.threads // 2),
        receipt_keys=tuple(SigningKey.from_key(key) for key in keys.all(KeyPurpose.RECEIPT_SIGNING)),
        prover=exchange.prover,
    )


def _wrapper(keys: Keyset) -> LocalKeyWrapper:
    return LocalKeyWrapper(keys.primary(KeyPurpose.KEK_WRAP).material)


def _refuse_second(database: Database) -> None:
    if _installation_row(database) is not None:
        raise ConfigError(["this database holds an installation already"])


def _installation_row(database: Database) -> Installation | None:
    with database.read() as connection:
        row = connection.execute(
            select(installation_table.c.id, installation_table.c.origin, installation_table.c.operator_ref)
        ).one_or_none()
    return Installation(id=row.id, origin=row.origin, operator_ref=row.operator_ref) if row is not None else None
