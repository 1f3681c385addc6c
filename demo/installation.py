"""Makes an installation in a fresh folder, with the commands that an operator would use (``cdx``, in this process)."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import click
import httpx
import yaml

from api.cli import cdx
from api.commands.terminal import FAILURES
from demo.agency import Agency
from demo.people import Person
from demo.registers import (
    COUNTRY,
    DATABASE,
    SCHEME,
    make_vehicle_registry,
    write_mapping,
    write_population,
    write_tax,
)
from demo.servers import HOST, free_port
from demo.story import Story, WrongError, require

AUDIENCE = "cdx-demo"
PROPOSES, APPROVES = "i.varga", "t.osei"
POPULATION, TAX = "population.csv", "tax.jsonl"
_CONFIG = "cdx.toml"


@dataclass(frozen=True, kw_only=True)
class Installation:
    """Where everything is."""

    folder: Path
    port: int = field(default_factory=lambda: free_port(8000))
    provider_port: int = field(default_factory=lambda: free_port(8100))
    identity_port: int = field(default_factory=lambda: free_port(9400))

    @property
    def url(self) -> str:
        """Of the exchange."""
        return f"http://{HOST}:{self.port}"

    @property
    def provider_url(self) -> str:
        """Of the vehicle registry's gateway."""
        return f"http://{HOST}:{self.provider_port}"

    @property
    def identity_provider(self) -> str:
        """Where citizens sign in."""
        return f"http://{HOST}:{self.identity_port}"

    @property
    def config(self) -> Path:
        """The settings, for the environment variable CDX_CONFIG."""
        return self.folder / _CONFIG

    @property
    def provider_keys(self) -> Path:
        """The private keys of the vehicle registry."""
        return self.folder / "vehicle-registry.keys.json"

    @property
    def database(self) -> Path:
        """The exchange's database."""
        return self.folder / "exchange.db"

    @property
    def policy(self) -> Path:
        """The witnesses of its log."""
        return self.folder / "witnesses.policy"

    def environment(self, **more: str) -> dict[str, str]:
        """The environment for its programs: nothing of another installation."""
        return bare_environment() | {"CDX_CONFIG": str(self.config)} | more

    def write_config(self) -> None:
        """Write the settings: development, SQLite, keys in the folder."""
        settings: dict[str, Any] = {
            "environment": "development",
            "public_url": self.url,
            "listen": f"{HOST}:{self.port}",
            "database_url": f"sqlite:///{self.database}",
            "unsafe_local_keys_dir": str(self.folder / "keys"),
            "openid_issuer": self.identity_provider,
            "openid_audience": AUDIENCE,
            "private_networks": ["127.0.0.0/8"],
            "witness_policy_file": str(self.policy),
            "witness_every_seconds": 1,
            "operator_name": "Data Exchange Office of Valdoria",
            "operator_address": "2 Register Square, 1000 Riverton",
            "operator_contact": "privacy@exchange.valdoria.example",
            "operator_url": "https://exchange.valdoria.example",
            "authority_name": "Data Protection Authority of Valdoria",
            "authority_address": "9 Castle Hill, 1001 Riverton",
            "authority_contact": "complaints@dpa.valdoria.example",
            "authority_url": "https://dpa.valdoria.example",
        }
        # TOML writes text, numbers and lists of text as JSON does.
        lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in settings.items()]
        self.config.write_text("\n".join(lines) + "\n", encoding="utf-8")


def bare_environment() -> dict[str, str]:
    """The environment for programs of others: nothing of any installation."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CDX_")}


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a command came to."""

    status: int
    output: str


def run_cdx(installation: Installation, *arguments: str, quiet: bool = True, **settings: str) -> Ran:
    """Run a ``cdx`` command; ``settings`` go before those of the installation."""
    written = StringIO()
    with _environment(installation.environment(**settings)), _captured(written, when=quiet):
        try:
            status = cdx.main(list(arguments), prog_name="cdx", standalone_mode=False) or 0
        except click.ClickException as exc:
            status = exc.exit_code
            written.write(exc.format_message())
        except click.exceptions.Exit as exc:
            status = exc.exit_code
        except FAILURES as exc:
            status = 1
            written.write(str(exc))
    return Ran(status=int(status), output=written.getvalue())


def must_run(installation: Installation, *arguments: str, quiet: bool = True) -> str:
    """Run a ``cdx`` command that must succeed; gives what it wrote.

    Raises:
        WrongError: it did not succeed.
    """
    ran = run_cdx(installation, *arguments, quiet=quiet)
    if ran.status != 0:
        raise WrongError(f"cdx {' '.join(arguments)} ended with status {ran.status}: {ran.output.strip()}")
    return ran.output


def prepare(installation: Installation, story: Story, everybody: Sequence[Person]) -> None:
    """Write the settings, and what the three registers hold."""
    folder = installation.folder
    installation.write_config()
    write_population(folder / POPULATION, everybody)
    write_tax(folder / TAX, everybody)
    holders = make_vehicle_registry(folder / DATABASE, everybody)
    mapping = write_mapping(folder, issuer=installation.url)
    must_run(installation, "provider", "keys", str(installation.provider_keys))
    checked = must_run(installation, "provider", "serve", str(mapping), "--dry-run", "--rows", "1")
    require("***" in checked and everybody[0].vehicles[0].plate not in checked, f"not masked: {checked}")
    story.done(f"an old registry of {holders} vehicle and licence holders: it stays where it is and is asked live")


def govern(installation: Installation, story: Story) -> None:
    """Keys and log, the catalogue, the agencies, and agreements that two people agree on."""
    must_run(installation, "init")
    story.done(f"an installation with keys of its own and an empty audit log, in {installation.folder}")
    loaded = must_run(installation, "catalogue", "load", str(COUNTRY / "catalogue.yaml"))
    story.done(_sentence(loaded))
    must_run(installation, "agency", "register", str(_agencies_file(installation)))
    agreements = sorted((COUNTRY / "agreements").glob("*.yaml"))
    for path in agreements:
        proposed = must_run(installation, "agreement", "propose", str(path), "--by", PROPOSES)
        found = re.search(r"agreement approve (\S+) --revision (\S+) --digest (\S+)", proposed)
        if found is None:
            raise WrongError(f"{path.name} was not proposed: {proposed}")
        code, revision, digest = found.groups()
        must_run(
            installation, "agreement", "approve", code, "--revision", revision, "--digest", digest, "--by", APPROVES
        )
    story.done(f"6 agencies, and {len(agreements)} agreements: proposed by one person, approved by another")


def register(installation: Installation, agencies: Sequence[Agency]) -> None:
    """Register clients by the public keys that they brought."""
    for agency in agencies:
        path = installation.folder / f"{agency.client_id}.jwks.json"
        path.write_text(json.dumps(agency.public_keys()), encoding="utf-8")
        must_run(
            installation,
            *("client", "register", agency.client_id, "--agency", agency.code, "--jwks", str(path)),
            *("--scope", "attributes:request"),
        )


def populate(installation: Installation, story: Story, everybody: Sequence[Person]) -> None:
    """Import into the vault what the two other registers export."""
    # Where somebody watches, the import shows its progress bar.
    quiet = not story.console.is_terminal
    for name, provider in ((POPULATION, "population-register"), (TAX, "tax-authority")):
        path = str(installation.folder / name)
        must_run(installation, "subjects", "import", path, "--provider", provider, quiet=quiet)
    taxed = sum(1 for person in everybody if person.tax)
    story.done(
        f"{len(everybody):,} people from the population register and {taxed} of them from the tax authority: "
        "each value sealed under its person's key"
    )


def _agencies_file(installation: Installation) -> Path:
    """The agencies, and where the vehicle registry answers live, with the public keys that it publishes."""
    document = yaml.safe_load((COUNTRY / "agencies.yaml").read_text(encoding="utf-8"))
    published = httpx.get(f"{installation.provider_url}/jwks.json", trust_env=False).raise_for_status().json()
    for agency in document["list"]:
        if agency["code"] == "vehicle-registry":
            live = {"endpoint": f"{installation.provider_url}/", "jwks": published, "scheme": SCHEME}
            agency["profile"]["live"] = live
    path = installation.folder / "agencies.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def _sentence(output: str) -> str:
    return output.strip().splitlines()[-1].rstrip(".")


@contextmanager
def _environment(wanted: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _captured(written: StringIO, *, when: bool) -> Iterator[None]:
    if not when:
        yield
        return
    with redirect_stdout(written), redirect_stderr(written):
        yield
