"""``cdx log monitor``: follow a log from outside. Needs no installation, like :mod:`api.commands.transparency`."""

import time
from pathlib import Path

import click

from api.commands.terminal import err, out
from api.commands.transparency import FILE, load_state, save, the_trust, trusting
from exchange.audit.monitor import Observation, observe
from exchange.audit.report import Finding
from exchange.audit.sources import Source, open_source
from exchange.audit.state_file import fork_name, format_state
from exchange.audit.trust import Trust

DEFAULT_MAX_AGE = 14_400
"""Four hours, as long as an exchange goes on without its witnesses."""

_MAY_HEAL = (Finding.FINE, Finding.STALE, Finding.UNREACHABLE)


@click.command("monitor")
@click.argument("location")
@click.option("--state", "state_file", type=FILE, required=True, help="Remembers what was seen, from look to look.")
@trusting
@click.option(
    "--max-age",
    type=click.IntRange(1),
    metavar="SECONDS",
    help="Stale when the witnesses' quorum is older, or without witnesses, when nothing was new for longer. Default: "
    f"{DEFAULT_MAX_AGE} with witnesses, else never.",
)
@click.option("--every", type=click.IntRange(1), metavar="SECONDS", help="Go on looking, so often.")
@click.option("--once", is_flag=True, help="Look once (this is what happens without --every).")
@click.option("--cosigned-only", is_flag=True, help="Take no checkpoint that the policy's quorum has not cosigned.")
def monitor(
    location: str,
    state_file: Path,
    vkeys: tuple[str, ...],
    policy: Path | None,
    max_age: int | None,
    every: int | None,
    *,
    once: bool,
    cosigned_only: bool,
) -> None:
    """Follow the log at LOCATION: what is new, and does it fit what was seen before?

    Checks the signature of the newest checkpoint, which witnesses cosigned it, and by the log's own tiles that
    everything seen before is still there, unchanged. On a fork both checkpoints are kept in a file beside the state,
    as evidence, and the state stays as it was.

    Run it from a timer, or with --every: then it ends at the first thing that does not heal (status 1, 3 and 5).
    """
    if once and every is not None:
        raise click.UsageError("--once or --every, not both")
    trust = the_trust(vkeys, policy)
    if cosigned_only and not trust.needs_witnesses:
        raise click.UsageError("--cosigned-only needs a --policy with witnesses")
    if max_age is None and trust.needs_witnesses:
        max_age = DEFAULT_MAX_AGE
    source = open_source(location)
    while True:
        finding = _look(source, trust, state_file, max_age, cosigned_only=cosigned_only)
        if every is None or finding not in _MAY_HEAL:
            raise click.exceptions.Exit(finding)
        time.sleep(every)


def _look(source: Source, trust: Trust, state_file: Path, max_age: int | None, *, cosigned_only: bool) -> Finding:
    now = int(time.time())
    observation = observe(source, trust, load_state(state_file), now=now, max_age=max_age, cosigned_only=cosigned_only)
    for line in observation.report.explain():
        out.print(f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(now))} {line}")
    _keep(observation, state_file)
    return observation.report.finding


def _keep(observation: Observation, state_file: Path) -> None:
    if observation.evidence is not None:
        path = state_file.with_name(state_file.name + fork_name(observation.evidence))
        save(path, observation.evidence)
        err.print(f"Both checkpoints are in {path}. Keep it, and show it to others.", style="bold red")
    if observation.state is not None:
        save(state_file, format_state(observation.state))


COMMANDS = (monitor,)
