"""What every use case needs, composed once by ``api.wiring`` and passed in. No globals, no service locator."""

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, event, func, select

from crypto.blind_index import BlindIndex
from crypto.jose import SigningKey
from crypto.pseudonym import PseudonymKey
from exchange.audit import outbox
from exchange.audit.policy_file import Policy
from exchange.audit.proofs import Prover
from exchange.catalogue import Catalogue, catalogue_from_body
from exchange.changes import watch_changes
from exchange.database import Database
from exchange.errors import CatalogueError
from exchange.keyring import Keyring
from exchange.model import Organisation
from exchange.pressure import LogPressure, PressureLimits
from exchange.providers.http import LiveProviders
from exchange.tables import catalogue as catalogue_table
from exchange.uow import Append, UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """Who we are: bound into every sealed field and every log entry."""

    id: UUID
    origin: str
    operator_ref: UUID


UNNAMED_OPERATOR = Organisation(
    id="cdx", name="The operator of this exchange", address="unset", contact="unset", url="https://operator.invalid"
)
UNNAMED_AUTHORITY = Organisation(
    id="authority",
    name="The data protection authority",
    address="unset",
    contact="unset",
    url="https://authority.invalid",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Limits of the main job. Every value has a safe default."""

    request_lifetime: timedelta = timedelta(days=14)  # an undecided request lapses then
    redelivery_window: timedelta = timedelta(minutes=10)  # for an answer that got lost on the way
    answer_lifetime: timedelta = timedelta(minutes=5)  # exp of the signed answer
    integrate_within: timedelta = timedelta(seconds=60)  # an entry missing from the log after that is provably missing
    max_outbox: int = 4096  # entries; beyond it releases wait for the sequencer
    witnesses: Policy | None = None  # who must cosign the log; None: nobody is asked
    max_unwitnessed: timedelta = timedelta(hours=4)  # releases wait when nobody has cosigned for longer
    operator: Organisation = UNNAMED_OPERATOR
    authority: Organisation = UNNAMED_AUTHORITY
    attempts: int = 4  # of a release whose ground moved between reading and locking


class CatalogueCache:
    """The newest catalogue, parsed once per version and process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._current: Catalogue | None = None

    def current(self, connection: Connection, version: int | None = None) -> Catalogue:
        """The catalogue in force.

        Args:
            connection: any open transaction.
            version: the newest version, when the caller's own statement already told it.

        Raises:
            CatalogueError: none was loaded yet.
        """
        if version is None:
            version = connection.execute(select(func.max(catalogue_table.c.version))).scalar()
        known = self._current
        if known is not None and known.version == version:
            return known
        row = connection.execute(
            select(catalogue_table.c.version, catalogue_table.c.body).where(catalogue_table.c.version == version)
        ).one_or_none()
        if row is None:
            raise CatalogueError("no catalogue is loaded; run `cdx catalogue load FILE`")
        parsed = catalogue_from_body(row.version, row.body)
        with self._lock:
            self._current = parsed
        return parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """The exchange's parts. ``append`` is the audit outbox; only the benchmark of its own cost replaces it."""

    database: Database
    installation: Installation
    issuer: str
    keyring: Keyring
    blind_index: BlindIndex
    pseudonyms: PseudonymKey
    answer_signer: SigningKey
    receipt_signer: SigningKey
    provider_signer: SigningKey
    live_providers: LiveProviders
    settings: Settings = field(default_factory=Settings)
    catalogues: CatalogueCache = field(default_factory=CatalogueCache)
    append: Append = outbox.append
    prover: Prover = field(default_factory=Prover)
    pressure: LogPressure = field(init=False)

    def __post_init__(self) -> None:
        limits = PressureLimits(
            max_outbox=self.settings.max_outbox,
            integrate_within=self.settings.integrate_within,
            witnesses=self.settings.witnesses,
            max_unwitnessed=self.settings.max_unwitnessed,
        )
        object.__setattr__(self, "pressure", LogPressure(limits))
        engine = self.database.engine
        if not event.contains(engine, "after_cursor_execute", watch_changes):
            event.listen(engine, "after_cursor_execute", watch_changes)

    def catalogue(self, connection: Connection) -> Catalogue:
        """The catalogue in force."""
        return self.catalogues.current(connection)

    def unit_of_work(self, now: datetime) -> UnitOfWork:
        """One write transaction at the time ``now``."""
        return UnitOfWork(
            self.database, self.keyring, operator_ref=self.installation.operator_ref, now=now, append=self.append
        )
