"""``python -m bench``: measures B1, B2, B4 to B7 and B10 (docs/benchmarks.md) and writes that document.

Every ratio comes from runs that alternate in one session, and is the median of five.
"""

import argparse
import os
import shutil
import sqlite3
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench import fields, load, machine, report, servers, transparency
from bench.floor import crypto_floor
from bench.world import ROOT, World, settings
from tests.postgres import drop_database, fresh_database

_FOLDER: Final = ROOT / ".cache" / "bench"
_AUDITED, _UNAUDITED = "api.web:create", "bench.unaudited:create"
_DRAIN_SECONDS: Final = 60


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured."""

    rounds: int
    requests: int
    warm_up: int
    people: int
    floor_rounds: int
    field_calls: int
    log_entries: int
    log_largest: int
    log_proofs: int


FULL: Final = Size(
    rounds=5,
    requests=1500,
    warm_up=96,
    people=200,
    floor_rounds=2000,
    field_calls=20_000,
    log_entries=1_000_000,
    log_largest=10_000_000,
    log_proofs=400,
)
QUICK: Final = Size(
    rounds=1,
    requests=200,
    warm_up=32,
    people=20,
    floor_rounds=300,
    field_calls=2_000,
    log_entries=20_000,
    log_largest=40_000,
    log_proofs=20,
)


@dataclass(kw_only=True)
class Scenario:
    """One way to serve: a web server of its own on the world's database."""

    database: str
    name: str  # of report.SCENARIOS
    world: World
    web: int
    port: int
    sequencer: int
    others: int | None  # PostgreSQL
    server_cores: set[int]
    client_cores: set[int]
    runs: list[report.Run] = field(default_factory=list)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, to see that it works; writes nothing")
    parser.add_argument("--output", type=Path, help="where to write the document (default: docs/benchmarks.md)")
    options = parser.parse_args()
    size = QUICK if options.quick else FULL
    output = options.output or (None if options.quick else ROOT / "docs" / "benchmarks.md")
    began, busy = time.monotonic(), os.getloadavg()[0]
    console = Console(stderr=True)
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress, ExitStack() as stack:
        scenarios, postgres = _start(size, progress, stack)
        task = progress.add_task("requests", total=size.rounds * len(scenarios))
        for number in range(size.rounds):
            # Forward and backward in turn, so that nothing always comes after the same.
            for scenario in scenarios if number % 2 == 0 else scenarios[::-1]:
                progress.update(task, description=f"{scenario.database}, {scenario.name}")
                scenario.runs.append(_run(scenario, size))
                progress.advance(task)
        progress.update(task, description="requests")
        task = progress.add_task("fields", total=1)
        os.sched_setaffinity(0, machine.SERVER)
        methods = fields.measure(size.field_calls)
        os.sched_setaffinity(0, machine.BOTH)
        progress.advance(task)
        log = _log(size, progress)
    document = report.document(
        runs={(one.database, one.name): one.runs for one in scenarios},
        methods=methods,
        log=log,
        described=machine.describe(f"SQLite {sqlite3.sqlite_version}, PostgreSQL {postgres}"),
        requests=size.requests,
        people=size.people,
        busy=busy,
        seconds=time.monotonic() - began,
    )
    print(document)
    if output is not None:
        output.write_text(document, encoding="utf-8")
        console.print(f"Written: {output}")


def _start(size: Size, progress: Progress, stack: ExitStack) -> tuple[list[Scenario], str]:
    scenarios = []
    task = progress.add_task("people", total=2 * size.people)
    postgres = fresh_database()
    stack.callback(drop_database, postgres)
    for database, url in (("SQLite", f"sqlite:///{_FOLDER / 'SQLite' / 'cdx.db'}"), ("PostgreSQL", postgres)):
        folder = _FOLDER / database
        folder.mkdir()
        world = World(settings(folder, url), people=size.people, advance=lambda: progress.advance(task))
        stack.callback(world.close)
        sequencer = stack.enter_context(servers.sequencer(world.environment, folder / "sequencer.log"))
        for name, factory, workers, server_cores, client_cores in (
            (report.ONE_CORE, _AUDITED, 1, machine.SERVER, machine.CLIENT),
            (report.UNAUDITED, _UNAUDITED, 1, machine.SERVER, machine.CLIENT),
            (report.TWO_CORES, _AUDITED, 2, machine.BOTH, machine.BOTH),
        ):
            log = folder / f"{name}.log"
            web, port = stack.enter_context(
                servers.web(factory, workers=workers, environment=world.environment, log=log)
            )
            scenarios.append(
                Scenario(
                    database=database,
                    name=name,
                    world=world,
                    web=web,
                    port=port,
                    sequencer=sequencer,
                    others=servers.postgres_process(url) if database == "PostgreSQL" else None,
                    server_cores=server_cores,
                    client_cores=client_cores,
                )
            )
    return scenarios, servers.postgres_version(postgres)


def _log(size: Size, progress: Progress) -> transparency.Figures:
    task = progress.add_task("log", total=transparency.work(size.log_entries, size.log_largest))
    folder = _FOLDER / "log"
    folder.mkdir()
    postgres = fresh_database()
    try:
        return transparency.measure(
            entries=size.log_entries,
            largest=size.log_largest,
            proofs_of=size.log_proofs,
            folder=folder,
            postgres=postgres,
            advance=lambda count: progress.advance(task, count),
        )
    finally:
        drop_database(postgres)
        shutil.rmtree(folder)


def _run(scenario: Scenario, size: Size) -> report.Run:
    parts = {"web": scenario.web, "sequencer": scenario.sequencer, "database": scenario.others}
    processes = {name: pid for name, pid in parts.items() if pid is not None}
    os.sched_setaffinity(0, machine.SERVER)
    floor = crypto_floor(size.floor_rounds)
    for pid in processes.values():
        machine.pin(pid, scenario.server_cores)
    os.sched_setaffinity(0, scenario.client_cores)
    load.run(scenario.port, scenario.world.sign(size.warm_up))
    _drain(scenario.world)
    requests = scenario.world.sign(size.requests)
    before = {name: machine.cpu_seconds(pid) for name, pid in processes.items()}
    done = load.run(scenario.port, requests)
    after = {name: machine.cpu_seconds(pid) for name, pid in processes.items()}
    waiting = scenario.world.waiting_entries()
    if done.failures:
        raise load.LoadError(f"{scenario.database}, {scenario.name}: not answered with 200: {done.failures}")
    scenario.world.check(done.last_body)
    _drain(scenario.world)
    return report.Run(
        rate=done.rate,
        p50=done.percentile(0.50),
        p99=done.percentile(0.99),
        cpu={name: (after[name] - before[name]) / done.count * 1e6 for name in processes},
        floor=floor,
        waiting=waiting,
    )


def _drain(world: World) -> None:
    """Let the sequencer finish, so that no run pays for the one before."""
    deadline = time.monotonic() + _DRAIN_SECONDS
    while world.waiting_entries():
        if time.monotonic() > deadline:
            raise load.LoadError("the sequencer does not catch up")
        time.sleep(0.05)


if __name__ == "__main__":
    main()
