"""Two organisations that watch the exchange: each runs a witness of its own, and cosigns that the log only grew."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.installation import Installation, bare_environment, must_run
from demo.servers import HOST, Servers, free_port
from demo.story import Story, WrongError


@dataclass(frozen=True, kw_only=True)
class Witness:
    """One of them. It has nothing of the exchange but the public key of its log."""

    organisation: str
    folder: Path
    port: int
    policy_line: str

    @property
    def url(self) -> str:
        """Where it is asked."""
        return f"http://{HOST}:{self.port}"

    @property
    def vkey(self) -> str:
        """Its public key."""
        return self.policy_line.split(" ")[2]


def make_witnesses(installation: Installation) -> list[Witness]:
    """Make both, and the policy that names them: both must cosign."""
    made = [
        _make(installation, "Data Protection Authority", "witness.dpa.valdoria.example", 8201),
        _make(installation, "Court of Auditors", "witness.auditors.valdoria.example", 8202),
    ]
    names = " ".join(one.policy_line.split(" ")[1] for one in made)
    lines = [*(one.policy_line for one in made), f"group both all {names}", "quorum both"]
    installation.policy.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return made


def start_witnesses(installation: Installation, servers: Servers, witnesses: Sequence[Witness], story: Story) -> None:
    """Give them the log's public key, and serve them."""
    vkey = str(installation.folder / "keys" / "log.vkey")
    for number, witness in enumerate(witnesses, 1):
        must_run(installation, "witness", "add-log", str(witness.folder), vkey)
        command = ["-m", "api.cli", "witness", "serve", str(witness.folder), "--listen", f"{HOST}:{witness.port}"]
        servers.start(
            f"witness-{number}",
            [sys.executable, *command],
            environment=bare_environment(),
            ready=f"{witness.url}/healthz",
        )
    story.done(
        f"two witnesses of other organisations: {' and '.join(one.organisation for one in witnesses)}; "
        "nothing is released for long if they do not cosign"
    )


def their_policy(installation: Installation) -> Path:
    """What somebody who checks the log is given, on another way than the log: its key, and the witnesses."""
    vkey = (installation.folder / "keys" / "log.vkey").read_text(encoding="ascii").strip()
    path = installation.folder / "policy-for-everybody"
    path.write_text(f"log {vkey}\n{installation.policy.read_text(encoding='utf-8')}", encoding="utf-8")
    return path


def _make(installation: Installation, organisation: str, name: str, preferred_port: int) -> Witness:
    folder, port = installation.folder / name, free_port(preferred_port)
    printed = must_run(installation, "witness", "init", str(folder), "--name", name, "--url", f"http://{HOST}:{port}")
    line = next((one for one in printed.splitlines() if one.startswith(f"witness {name} ")), None)
    if line is None:
        raise WrongError(f"the witness {name} printed no line of a policy: {printed}")
    return Witness(organisation=organisation, folder=folder, port=port, policy_line=line)
