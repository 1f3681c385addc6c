"""Be a citizen of Valdoria for a moment: ``python -m demo.decide NATIONAL-ID`` while the demonstration is up.

Signs in at the identity provider, shows the requests that wait, and asks what you decide.
"""

import argparse
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.prompt import Prompt

from demo.citizen import Citizen
from demo.folder import place
from demo.story import WrongError, require

CHOICES = {"all": "allow all of it", "required": "allow only what is needed", "no": "refuse", "later": "decide later"}


def main() -> int:
    """Sign in and decide; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m demo.decide", description=__doc__)
    parser.add_argument("national_id", help="Mara is VAL-146889-1")
    options = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    config = Path(os.environ.get("CDX_CONFIG") or place() / "cdx.toml")
    try:
        settings = tomllib.loads(config.read_text(encoding="utf-8"))
        with httpx.Client(base_url=settings["public_url"], trust_env=False, timeout=20) as http:
            citizen = Citizen(http, identity_provider=settings["openid_issuer"], client_id=settings["openid_audience"])
            signed_in = citizen.sign_in(options.national_id)
            require(signed_in.is_success, signed_in.text)
            waiting = citizen.waiting()
            for request in waiting:
                _decide(console, citizen, request)
            if not waiting:
                console.print("No request waits for you.")
    except (WrongError, httpx.HTTPError, OSError) as exc:
        console.print(f"That did not work: {exc}", markup=False)
        return 1
    return 0


def _decide(console: Console, citizen: Citizen, request: dict[str, Any]) -> None:
    notice = request["notice"]["en"]
    console.print(f"\n[bold]{request['agency_name']}: {notice['title']}[/]")
    console.print(notice["purpose"])
    for one in request["attributes"]:
        form = "" if one["form"] == "value" else f" ({one['form']})"
        optional = "" if one["required"] else ", if you like"
        console.print(f"  · {one['label']}{form}, held by {one['provider']}{optional}", markup=False)
    console.print(f"[dim]If you say no: {notice['consequences_of_no']}[/]")
    for choice, meaning in CHOICES.items():
        console.print(f"  {choice:<9} {meaning}")
    choice = Prompt.ask("Your decision", console=console, choices=list(CHOICES), default="later")
    if choice == "no":
        citizen.refuse(request)
    elif choice != "later":
        needed = [one for one in request["attributes"] if choice == "all" or one["required"]]
        citizen.allow(request, [(one["name"], one["form"]) for one in needed])
    console.print({"no": "Refused.", "later": "It still waits."}.get(choice, "Allowed. You can take it back any time."))


if __name__ == "__main__":
    sys.exit(main())
