"""The log as a state machine: whatever is appended, integrated, cut off, restarted and erased, it stays one log."""

import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from crypto.ids import new_id
from exchange.audit import log, store
from exchange.audit.sources import DirectorySource
from exchange.audit.verify import verify_log
from exchange.database import Database
from tests.conftest import migrate
from tests.integration.audit.small_log import TRUST, SmallLog
from tests.postgres import drop_database, fresh_database
from tests.unit.audit.samples import NOW, an_event

STEPS = ["read_head", "take_outbox", "insert_leaves", "swap_head", "insert_checkpoint"]
PEOPLE = [new_id(NOW) for _ in range(3)]


class PowerCut(BaseException):
    """Nobody catches this."""


class LogMachine(RuleBasedStateMachine):
    template: Path | None  # of SQLite; None: PostgreSQL

    @initialize()
    def begin(self) -> None:
        self.directory = Path(mkdtemp())
        if self.template is None:
            self.url = fresh_database(migrate)
        else:
            shutil.copyfile(self.template, self.directory / "cdx.db")
            self.url = f"sqlite:///{self.directory / 'cdx.db'}"
        self.log = SmallLog(Database(self.url)).create()
        self.states: list[str] = []

    @rule(count=st.sampled_from([1, 2, 7, 120, 256]), person=st.sampled_from(PEOPLE))
    def append(self, count: int, person: object) -> None:
        if person in self.log.erased:
            return
        self.log.append(*(an_event(subject_ref=person) for _ in range(count)))

    @rule()
    def round(self) -> None:
        self.log.round()

    @rule()
    def round_by_another(self) -> None:
        self.log.tick()
        self.log.new_sequencer().run_round()

    @rule(step=st.sampled_from(STEPS), persisted=st.booleans())
    def crash(self, step: str, persisted: bool) -> None:
        real = getattr(store, step)

        def fail(*arguments: object, **named: object) -> None:
            if persisted:
                real(*arguments, **named)
            raise PowerCut

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(store, step, fail)
            with suppress(PowerCut):
                self.log.round()

    @rule()
    def restart(self) -> None:
        self.log.restart()

    @rule(person=st.sampled_from(PEOPLE))
    def erase(self, person: object) -> None:
        if person in self.log.keys:
            self.log.erase(person)  # type: ignore[arg-type]  # a strategy has no type

    @precondition(lambda self: self.log.accepted)
    @rule()
    def verify_offline_from_every_saved_state(self) -> None:
        with self.log.database.read() as connection:
            if log.size(connection) == 0:
                return
        source = DirectorySource(self.log.export(self.directory / "export"))
        for state in [None, *self.states]:
            report = verify_log(source, TRUST, state=state, full=False)
            assert report.faults == []
        assert report.state is not None
        self.states.append(report.state)

    @invariant()
    def it_is_one_sound_log(self) -> None:
        if hasattr(self, "log"):
            self.log.assert_sound()

    def teardown(self) -> None:
        if hasattr(self, "log"):
            self.log.database.dispose()
            shutil.rmtree(self.directory)
            if self.template is None:
                drop_database(self.url)


@pytest.mark.invariant(12)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_log_stays_sound_whatever_happens(kind: str, sqlite_template: Path):
    machine = type("Machine", (LogMachine,), {"template": sqlite_template if kind == "sqlite" else None})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12, stateful_step_count=12, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
