"""``python -m demo``: sets everything up in a fresh folder, walks through the main job, and stays up until Ctrl-C.

``--once`` (or ONCE=1 in the environment) ends after the walk. Status 0: every step was as it must be; 1: one was not.
"""

import argparse
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

import httpx
import jwt
from joserfc.errors import JoseError

from demo import evidence
from demo.agency import Agency
from demo.folder import fresh_folder, place
from demo.installation import AUDIENCE, Installation, govern, populate, prepare, register
from demo.people import POPULATION, Person, people, unknown_id
from demo.servers import HOST, Servers
from demo.story import Story, WrongError
from demo.transparency import open_checkpoint
from demo.walk import CHAPTERS, Subject, Walk
from demo.witnesses import Witness, make_witnesses, start_witnesses

FAILURES = (WrongError, httpx.HTTPError, jwt.PyJWTError, JoseError)
_LOOK_SECONDS = 1.0


def main() -> int:
    """Run it; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--once", action="store_true", default=os.environ.get("ONCE") in {"1", "true", "yes"})
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    story, began = Story(), time.monotonic()
    try:
        with fresh_folder(place()) as folder:
            return _run(story, Installation(folder=folder), once=options.once, began=began)
    except FAILURES as exc:
        story.failed(str(exc) or type(exc).__name__)
        story.say(f"The demonstration stopped here. What the programs wrote: {place() / 'logs'}")
        return 1
    except KeyboardInterrupt:
        story.say("Stopped.")
        return 130


def _run(story: Story, installation: Installation, *, once: bool, began: float) -> int:
    story.title(
        "Citizen Data Exchange",
        "Valdoria, a country that does not exist: three registers supply facts, three offices ask for them.",
    )
    everybody = people(POPULATION)
    story.part("Setting up")
    prepare(installation, story, everybody)
    with Servers(installation.folder / "logs") as servers:
        witnesses = make_witnesses(installation)
        walk = _set_up(installation, servers, witnesses, story, everybody)
        for chapter in CHAPTERS:
            chapter(walk)
        story.part("Nobody has to take our word")
        with story.waiting_for("verifying …"):
            seen = open_checkpoint(walk.checkpoint, walk.vkey)
            evidence.find_cosignatures(installation, story, seen, witnesses, walk.vkey)
            evidence.verify_log(installation, story, seen)
            evidence.find_changes(installation, story)
        servers.require_running()
        story.say()
        story.say(f"[bold green]{story.count} steps, each checked[/], in {time.monotonic() - began:.0f} seconds.")
        if once:
            return 0
        _invite(story, installation, everybody[0])
        _stay(servers)
        return 0


def _set_up(
    installation: Installation, servers: Servers, witnesses: list[Witness], story: Story, everybody: list[Person]
) -> Walk:
    folder, environment = installation.folder, installation.environment()
    cdx = [sys.executable, "-m", "api.cli"]
    servers.start(
        "identity-provider",
        # It imports a module that is deprecated, which is its own affair.
        [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(installation.identity_port)],
        environment=environment,
        ready=f"{installation.identity_provider}/.well-known/openid-configuration",
    )
    servers.start(
        "vehicle-registry",
        [
            *(*cdx, "provider", "serve", str(folder / "vehicle-registry.yaml")),
            *("--keys", str(installation.provider_keys), "--replay-file", str(folder / "vehicle-registry.replay.db")),
            *("--exchange-keys", f"{installation.url}/oauth/jwks", "--private-network", "127.0.0.0/8"),
            *("--listen", f"{HOST}:{installation.provider_port}"),
        ],
        environment=environment,
        ready=f"{installation.provider_url}/healthz",
    )
    with story.waiting_for("starting the identity provider and the vehicle registry …"):
        servers.await_all()
    govern(installation, story)
    start_witnesses(installation, servers, witnesses, story)
    populate(installation, story, everybody)
    walk = _walk(installation, story, everybody)
    register(installation, [walk.housing, walk.parking])
    servers.start("exchange", [*cdx, "serve"], environment=environment, ready=f"{installation.url}/readyz")
    with story.waiting_for("starting the exchange …"):
        servers.await_all()
    story.done(f"the exchange at {installation.url}, the vehicle registry's gateway, and an identity provider")
    return walk


def _walk(installation: Installation, story: Story, everybody: list[Person]) -> Walk:
    http = httpx.Client(base_url=installation.url, trust_env=False, timeout=20)
    mara = everybody[0]
    return Walk(
        story=story,
        exchange=installation.url,
        identity_provider=installation.identity_provider,
        audience=AUDIENCE,
        vkey=(installation.folder / "keys" / "log.vkey").read_text(encoding="ascii"),
        mara=Subject(
            national_id=mara.national_id,
            name=mara.name,
            address=str(mara.civil["home_address"]),
            household=int(str(mara.civil["household_size"])),
            plate=mara.vehicles[0].plate,
            born=str(mara.civil["birth_date"]),
            income=str(mara.tax["annual_income"]),
        ),
        nobody=unknown_id(everybody),
        housing=Agency(http, code="housing-benefit-office", client_id="hbo-1", officer="hbo-417", role="case worker"),
        parking=Agency(http, code="city-parking-office", client_id="rpo-1", officer="rpo-09", role="permit clerk"),
    )


def _invite(story: Story, installation: Installation, mara: Person) -> None:
    here = Path(sys.executable).parent
    key_file = installation.folder / "student-finance.json"
    story.say()
    story.say("[bold]It stays up. Look around:[/]")
    story.say(f"  the API, described            {installation.url}/docs")
    story.say(f"  the log's newest checkpoint   {installation.url}/audit/checkpoint")
    story.say(f"  and the newest cosigned one   {installation.url}/audit/cosigned/checkpoint")
    story.say(f"  the identity provider         {installation.identity_provider} (anybody can sign in as anybody)")
    story.say()
    story.say("[bold]Ask yourself, in another terminal:[/]")
    story.say(f"  export CDX_CONFIG={installation.config}")
    story.say(f"  {here / 'cdx'} sandbox client --agency student-finance --out {key_file}")
    story.say(
        f"  {here / 'python'} demo/first_request.py --key-file {key_file} --subject national-id:{mara.national_id} "
        "--agreement student-payment --purpose benefit_payment full_name bank_account"
    )
    story.say(f"  {here / 'python'} -m demo.decide {mara.national_id}      # be Mara: then send the request again")
    story.say(f"  {here / 'cdx'} log verify-db")
    story.say()
    story.say("Ctrl-C ends everything.")


def _stay(servers: Servers) -> None:
    """Until Ctrl-C, or until a program ends by itself."""
    try:
        while True:
            servers.require_running()
            threading.Event().wait(_LOOK_SECONDS)
    except KeyboardInterrupt:
        return


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
