"""docs/benchmarks.md: from figures to a document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench import report_log
from bench.fields import Method
from bench.report_line import Line
from bench.transparency import Figures

ONE_CORE: Final = "one core"
UNAUDITED: Final = "one core, without audit"
TWO_CORES: Final = "two cores"
_BUSY: Final = 0.7
_HEAD: Final = """\
# Benchmarks

Written by `make bench`. **Ratios are judged, absolute figures are noted**: a ratio compares runs that alternate in one
session on one machine, five times, and is the median. `make bench ARGS=--quick` shows in half a minute that all of it
works, and writes nothing.
"""
_METHOD: Final = """\
## What is measured

A request (B1) is what an agency sends: `POST /v1/attribute-requests` over HTTP/1.1 to granian, {requests} a run, after
a warm-up, over 16 connections that stay open. Each has its own DPoP proof and idempotency key, signed before the run,
for one of {people} people who consented. The server checks token and proof, decides, opens eight sealed fields, signs
and encrypts the answer, and commits proof, key, request, use of the consent, disclosure and audit entry before it
answers. A sequencer runs beside it in a process of its own. Durability is that of production: SQLite in WAL mode with
`synchronous=FULL`, PostgreSQL with `fsync` and `synchronous_commit` on. Every answer must be a 200; the last of each
run is decrypted, its signature is verified and its eight values are compared.

*One core*: web server (one process, four threads), sequencer and PostgreSQL share one core, the load generator
(`bench/load.py`) has the other. *Two cores*: two web processes, and everything shares both, the generator too.

- **B2** divides the CPU time of the web process (`/proc`, user and system, granian included) by the *floor*: one ES256
  verification, one ES256 signature, one ECDH-ES agreement with AES-256-GCM by bare `cryptography` calls, measured
  before each run on the same core. With SQLite the database's own work happens inside the web process.
- **B4** is served by the same code with `Exchange.append` replaced (`bench/unaudited.py`). The sequencer shares the
  core, so what it does for the entries counts as a cost of the audit.
- **B7** seals and opens 64 bytes of text. Ours binds the field to installation, table, column, person, record and
  version, names its key and commits to it, and hides the length; the others have no associated data.
"""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of one scenario."""

    rate: float
    p50: float
    p99: float
    cpu: Mapping[str, float]  # µs per request: web, sequencer, database
    floor: float  # µs
    waiting: int  # entries for the sequencer when the last answer had come


Runs = Mapping[tuple[str, str], Sequence[Run]]


def document(
    *,
    runs: Runs,
    methods: Mapping[str, Method],
    described: Sequence[tuple[str, str]],
    requests: int,
    people: int,
    log: Figures,
    busy: float,
    seconds: float,
) -> str:
    """The whole document."""
    databases = list(dict.fromkeys(database for database, _ in runs))
    lines = [
        *(line for database in databases for line in _throughput(database, runs)),
        *(_cost(database, runs) for database in databases),
        *(_audit(database, runs) for database in databases),
        *report_log.lines(log),
        *_sealing(methods),
    ]
    quiet = (
        "The machine was quiet when the session began."
        if busy < _BUSY
        else f"**The machine was busy when the session began (load {busy:.1f})**: absolute figures, and the judgement "
        "of those that are compared with a number, say little; repeat on a quiet one."
    )
    return "\n".join(
        (
            _HEAD,
            quiet,
            "",
            "| id | what | figure | ratio | target | met? |",
            "|---|---|---|---|---|---|",
            *map(str, lines),
            "",
            "## Where the time goes",
            "",
            "CPU µs per request and process.",
            "",
            "| | web | sequencer | PostgreSQL | floor | entries waiting at the end |",
            "|---|--:|--:|--:|--:|--:|",
            *(_costs(database, name, one) for (database, name), one in runs.items()),
            "",
            *report_log.tables(log),
            "",
            _METHOD.format(requests=requests, people=people) + report_log.METHOD.format(entries=log.entries),
            "## Machine",
            "",
            "| | |",
            "|---|---|",
            *(f"| {name} | {told} |" for name, told in described),
            f"| Session | {seconds / 60:.1f} minutes |",
            "",
        )
    )


def _throughput(database: str, runs: Runs) -> list[Line]:
    lines = []
    for name in (ONE_CORE, TWO_CORES):
        some = runs[database, name]
        rate, p50, p99 = (
            median(values) for values in zip(*((run.rate, run.p50, run.p99) for run in some), strict=True)
        )
        judged = database == "PostgreSQL" and name == TWO_CORES
        lines.append(
            Line(
                id="B1",
                what=f"brokered requests, 8 fields, {database}, {name}",
                figure=f"{rate:,.0f}/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms",
                target="≥ 1,200/s, p99 ≤ 25 ms" if judged else "",
                met=rate >= 1200 and p99 <= 25 if judged else None,
            )
        )
    return lines


def _cost(database: str, runs: Runs) -> Line:
    some = runs[database, ONE_CORE]
    ratio = median(run.cpu["web"] / run.floor for run in some)
    return Line(
        id="B2",
        what=f"CPU of the web process per request, {database}",
        figure=f"{median(run.cpu['web'] for run in some):,.0f} µs (floor {median(run.floor for run in some):.0f} µs)",
        ratio=f"{ratio:.1f} × the floor",
        target="≤ 5.5 ×",
        met=ratio <= 5.5,
    )


def _audit(database: str, runs: Runs) -> Line:
    pairs = list(zip(runs[database, ONE_CORE], runs[database, UNAUDITED], strict=True))
    ratio = median(audited.rate / unaudited.rate for audited, unaudited in pairs)
    return Line(
        id="B4",
        what=f"audited ÷ unaudited throughput, {database}",
        figure=f"{median(one.rate for one, _ in pairs):,.0f}/s ÷ {median(other.rate for _, other in pairs):,.0f}/s",
        ratio=f"{ratio:.2f}",
        target="≥ 0.95",
        met=ratio >= 0.95,
    )


def _sealing(methods: Mapping[str, Method]) -> list[Line]:
    ours, bare = methods["ours"], methods["bare"]
    lines = [
        Line(
            id="B7",
            what=f"64-byte field, {one.name}",
            figure=f"seal {one.seal:.2f} µs, open {one.open:.2f} µs",
            ratio=f"{bare.seal / one.seal:.2f} / {bare.open / one.open:.2f} of bare" if one is not bare else "",
            target="≥ 0.7 / 0.55 of bare" if one is ours else "",
            met=bare.seal / one.seal >= 0.7 and bare.open / one.open >= 0.55 if one is ours else None,
        )
        for one in methods.values()
    ]
    for name, wanted in (("tink", 1.0), ("utils", 5.0)):
        other = methods[name]
        seal, open_ = other.seal / ours.seal, other.open / ours.open
        lines.append(
            Line(
                id="B7",
                what=f"ours against {other.name}",
                figure="",
                ratio=f"{seal:.1f} / {open_:.1f} × as fast",
                target=f"≥ {wanted} ×",
                met=min(seal, open_) >= wanted,
            )
        )
    return lines


def _costs(database: str, name: str, some: Sequence[Run]) -> str:
    def told(part: str) -> str:
        return f"{median(run.cpu[part] for run in some):,.0f}" if part in some[0].cpu else "–"

    figures = [told("web"), told("sequencer"), told("database")]
    figures += [f"{median(values):.0f}" for values in ([run.floor for run in some], [run.waiting for run in some])]
    return f"| {database}, {name} | {' | '.join(figures)} |"
