"""The part of docs/benchmarks.md about the log."""

from collections.abc import Iterator
from statistics import median
from typing import Final

from bench.report_line import Line
from bench.transparency import PYMERKLE_SIZE, Figures

METHOD: Final = """\
- **B5** appends {entries:,} entries in chunks of 51,200: accepted into the outbox, then taken by the sequencer in
  rounds of 1,024, each of which checks the entries, hashes them, writes leaves and tiles, moves the head and signs a
  checkpoint in one commit. *Plain* writes the same columns into a table with the same keys and index, 1,024 to a
  commit, with `executemany` on SQLite and COPY on PostgreSQL; the two alternate.
- **B6** is the time for the hashes of a proof. *Cold*: with an empty cache for each proof (the database's own cache is
  warm); *warm*: the tiles are in the process. The largest log consists of tiles only. `pymerkle` opens its file anew
  for each cold proof, as a process does that was just started.
- **B10** verifies the exported log as an outsider does (form of each entry, every hash, the signature), on one core and
  on all; *database* is `cdx log verify-db` without keys to open facts.
"""


def lines(log: Figures) -> Iterator[Line]:
    """For the first table."""
    for name, appended in log.appended.items():
        ratio = median(one / other for one, other in zip(appended.sequencer, appended.plain, strict=True))
        yield Line(
            id="B5",
            what=f"sequencer, {appended.entries:,} entries, {name}",
            figure=f"{median(appended.sequencer):,.0f}/s ÷ {median(appended.plain):,.0f}/s plain",
            ratio=f"{ratio:.2f}",
            target="≥ 0.7",
            met=ratio >= 0.7,
        )
    for name, proved in log.proved.items():
        for one in proved:
            ratio = log.pymerkle_cold / one.cold
            yield Line(
                id="B6",
                what=f"inclusion proof, {one.size:,} entries, {name}",
                figure=f"cold {one.cold:,.0f} µs, warm {one.warm:,.0f} µs",
                ratio=f"{ratio:,.0f} × pymerkle",
                target="≥ 100 ×",
                met=ratio >= 100,
            )
    small, *_, largest = log.proved["SQLite"]
    yield Line(
        id="B6",
        what=f"cold proof, {largest.size:,} ÷ {small.size:,} entries, SQLite",
        figure=f"{largest.cold:,.0f} µs ÷ {small.cold:,.0f} µs",
        ratio=f"{largest.cold / small.cold:.2f}",
        target="≤ 1.5",
        met=largest.cold <= 1.5 * small.cold,
    )
    for name, verified in log.verified.items():
        ratio = verified.one_core / verified.hashing
        yield Line(
            id="B10",
            what=f"verify an export of {verified.entries:,} entries, {name}",
            figure=f"{verified.one_core:,.0f}/s one core, {verified.all_cores:,.0f}/s all",
            ratio=f"{ratio:.2f} of SHA-256",
            target="≥ 0.3",
            met=ratio >= 0.3,
        )


def tables(log: Figures) -> Iterator[str]:
    """The large log in figures."""
    yield "## A large log"
    yield ""
    yield "| | SQLite | PostgreSQL |"
    yield "|---|--:|--:|"
    appended = [log.appended[name] for name in ("SQLite", "PostgreSQL")]
    verified = [log.verified[name] for name in ("SQLite", "PostgreSQL")]
    rows = {
        "entries": [f"{one.entries:,}" for one in appended],
        "accepted into the outbox, 1,024 to a commit": [f"{median(one.outbox):,.0f}/s" for one in appended],
        "sequenced, hashed, signed": [f"{median(one.sequencer):,.0f}/s" for one in appended],
        "export verified, one core": [f"{one.one_core:,.0f}/s" for one in verified],
        "export verified, all cores": [f"{one.all_cores:,.0f}/s" for one in verified],
        "database verified (`verify-db`, no keys)": [f"{one.database:,.0f}/s" for one in verified],
    }
    for what, figures in rows.items():
        yield f"| {what} | {' | '.join(figures)} |"
    yield ""
    yield f"`pymerkle` at {min(PYMERKLE_SIZE, log.entries):,} entries, cold: {log.pymerkle_cold:,.0f} µs a proof."
