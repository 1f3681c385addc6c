"""Follow a log from outside: one look at it, compared with what was seen before. No database.

A log that shows one history to us and another to somebody else is found when both remember what they saw; so a monitor
keeps the newest checkpoint, and never lets go of one that a later checkpoint contradicts.
"""

from dataclasses import dataclass, field
from typing import Final

from crypto.errors import CryptoError
from exchange.audit.growth import compare
from exchange.audit.replay import read_tile
from exchange.audit.report import Finding, Report
from exchange.audit.sources import Source
from exchange.audit.state_file import State, format_fork
from exchange.audit.trust import Seen, Trust, moment
from exchange.audit.verify import ONE_VIEW, open_state, restored, shrunk

SKEW_SECONDS: Final = 600
"""How far the clocks of witnesses may be ahead of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one look found.

    Attributes:
        report: in words.
        state: to remember from now on; None: keep what is remembered.
        evidence: of a fork, to keep beside it.
    """

    report: Report
    state: State | None = None
    evidence: str | None = field(default=None, repr=False)


def observe(
    source: Source,
    trust: Trust,
    state: State | None,
    *,
    now: int,
    max_age: int | None = None,
    cosigned_only: bool = False,
) -> Observation:
    """Look at a log once.

    Args:
        source: where its files are.
        trust: the log's verifier keys, and the witnesses that must cosign, from somebody you trust.
        state: what was remembered the last time; None: this is the first time.
        now: seconds since 1970.
        max_age: the log is stale when its newest quorum of witnesses is older (seconds); without witnesses: when its
            newest checkpoint was first seen longer ago. None: it is never stale.
        cosigned_only: take no checkpoint that the quorum has not cosigned. Otherwise one is compared and remembered,
            and only ``max_age`` tells that the quorum stays away.

    Raises:
        MalformedError: the remembered checkpoint is unusable.
    """
    report = Report(subject=f"log {trust.names}")
    saved = None if state is None else open_state(state.note, trust)
    try:
        note = source.read("checkpoint")
        if note is None:
            return _unreached(report, trust, state, now, max_age, "it shows no checkpoint")
        seen = trust.open(note)
        report.subject, report.size = f"log {seen.checkpoint.origin}", seen.checkpoint.size
        if saved is not None and saved.size > seen.checkpoint.size:
            report.fault(shrunk(saved, seen.checkpoint), Finding.SHRUNK)
            return Observation(report=report)
        fork = compare(lambda level, n, width: read_tile(source, level, n, width), saved, seen.checkpoint)
    except OSError as exc:
        return _unreached(report, trust, state, now, max_age, str(exc))
    except CryptoError as exc:
        report.fault(str(exc))
        return Observation(report=report)
    report.checked.extend(trust.tell(seen))
    if fork is not None and saved is not None and state is not None:
        report.fault(
            f"FORK: the log signed a checkpoint over {seen.checkpoint.size} entries whose first {saved.size} are not "
            f"the ones that it signed before{restored(saved, seen.checkpoint)}",
            Finding.FORK,
        )
        return Observation(report=report, evidence=format_fork(state.note, seen.note, fork))
    _tell_growth(report, None if saved is None else saved.size, seen.checkpoint.size)
    if not seen.has_quorum:
        if cosigned_only:
            report.fault(trust.missing(seen))
            return Observation(report=report)
        report.not_checked.append(f"cosignatures of the newest checkpoint: {trust.missing(seen)}")
    if not trust.needs_witnesses:
        report.not_checked.append(ONE_VIEW)
    report.not_checked.append("the entries: `cdx log verify` reads them")
    following = _remember(report, seen, state, grown=saved is None or seen.checkpoint.size > saved.size, now=now)
    _check_age(report, trust, following, now, max_age)
    return Observation(report=report, state=following)


def _tell_growth(report: Report, before: int | None, size: int) -> None:
    if before is None:
        report.checked.append("its tiles lead to the root that the checkpoint states")
        report.not_checked.append("what was before: this is the first look, and the next one is compared with it")
    elif before == size:
        report.checked.append(f"nothing is new: {size} entries, under the same root")
    else:
        report.checked.append(f"it grew from {before} to {size} entries, and the first {before} are unchanged")


def _remember(report: Report, seen: Seen, state: State | None, *, grown: bool, now: int) -> State:
    times = [] if state is None or state.cosigned is None else [state.cosigned]
    if seen.quorum_at is not None:
        if seen.quorum_at > now + SKEW_SECONDS:
            report.not_checked.append(f"when the quorum was complete: it says {moment(seen.quorum_at)}, still to come")
        else:
            times.append(seen.quorum_at)
    if state is None or grown:
        since, note = now, seen.note
    else:
        # Of one size and root: the note that bears the quorum is worth more.
        since, note = now if state.since is None else state.since, seen.note if seen.has_quorum else state.note
    return State(note=note, since=since, cosigned=max(times, default=None))


def _check_age(report: Report, trust: Trust, state: State, now: int, max_age: int | None) -> None:
    if max_age is None:
        report.not_checked.append("how old it is: no greatest age is set")
        return
    sign = state.cosigned if trust.needs_witnesses else state.since
    if sign is None:
        report.fault("STALE: the quorum of the policy was never seen complete", Finding.STALE)
    elif now - sign > max_age:
        what = "the quorum of witnesses was last complete" if trust.needs_witnesses else "nothing is new since"
        report.fault(f"STALE: {what} {moment(sign)}, more than {max_age} seconds ago", Finding.STALE)
    else:
        report.checked.append(f"the last sign of life, at {moment(sign)}, is at most {max_age} seconds old")


def _unreached(
    report: Report, trust: Trust, state: State | None, now: int, max_age: int | None, reason: str
) -> Observation:
    sign = None if state is None else (state.cosigned if trust.needs_witnesses else state.since)
    if max_age is not None and sign is not None and now - sign > max_age:
        report.fault(
            f"STALE: not reached ({reason}), and the last sign of life, at {moment(sign)}, is more than {max_age} "
            "seconds old",
            Finding.STALE,
        )
    else:
        report.fault(f"not reached: {reason}", Finding.UNREACHABLE)
    return Observation(report=report)
