"""``demo/first_request.py``, the README's example, against a server as an operator starts it."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.installation import Installation, must_run
from demo.people import people
from demo.registers import COUNTRY, write_population, write_tax
from demo.servers import Servers
from demo.witnesses import make_witnesses

PROGRAM = Path(__file__).parents[2] / "demo" / "first_request.py"
SECONDS = 60
ASKED = ("--agreement", "student-payment", "--purpose", "benefit_payment", "full_name", "bank_account")


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """A running exchange with three people in it, and the country's identity provider."""
    made = Installation(folder=tmp_path_factory.mktemp("exchange"))
    made.write_config()
    make_witnesses(made)  # not started: releases wait for them only after hours
    must_run(made, "init")
    must_run(made, "catalogue", "load", str(COUNTRY / "catalogue.yaml"))
    must_run(made, "agency", "register", str(COUNTRY / "agencies.yaml"))
    proposed = must_run(
        made, "agreement", "propose", str(COUNTRY / "agreements" / "student-payment.yaml"), "--by", "one"
    )
    digest = proposed.partition("Digest: ")[2].split()[0]
    must_run(made, "agreement", "approve", "student-payment", "--revision", "1", "--digest", digest, "--by", "another")
    few = people(3)
    for write, name, provider in (
        (write_population, "population.csv", "population-register"),
        (write_tax, "tax.jsonl", "tax-authority"),
    ):
        write(made.folder / name, few)
        must_run(made, "subjects", "import", str(made.folder / name), "--provider", provider)
    with Servers(made.folder / "logs") as servers:
        servers.start(
            "identity-provider",
            [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(made.identity_port)],
            environment=made.environment(),
            ready=f"{made.identity_provider}/.well-known/openid-configuration",
        )
        command = [sys.executable, "-m", "api.cli", "serve"]
        servers.start("exchange", command, environment=made.environment(), ready=f"{made.url}/readyz")
        servers.await_all()
        yield made


@pytest.fixture(scope="module")
def key_file(installation):
    """What ``cdx sandbox client`` makes."""
    path = installation.folder / "client.json"
    printed = must_run(installation, "sandbox", "client", "--agency", "student-finance", "--out", str(path))
    assert f"first_request.py --key-file {path}" in printed
    return path


def run(key_file, subject, *more):
    """Runs the program as a stranger would: from another folder, with nothing of ours on the path."""
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [
            sys.executable,
            "-I",
            "-W",
            "error",
            str(PROGRAM),
            "--key-file",
            key_file,
            "--subject",
            subject,
            *ASKED,
            *more,
        ],
        env=environ,
        cwd=key_file.parent,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )


def decide(installation, national_id, choice):
    """The citizen's side, as somebody would who tries the demonstration."""
    done = subprocess.run(
        [sys.executable, "-m", "demo.decide", national_id],
        env=installation.environment(),
        cwd=PROGRAM.parents[1],
        input=f"{choice}\n",
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_waits_for_the_citizen_then_shows_the_answer(installation, key_file):
    mara = people(3)[0]
    subject = f"national-id:{mara.national_id}"
    waiting = run(key_file, subject)
    assert waiting.returncode == 0, waiting.stderr
    state = json.loads(waiting.stdout)
    assert state["state"] == "waiting"
    assert "reference" in state

    decided = decide(installation, mara.national_id, "all")
    assert "Where to send your grant" in decided
    assert "Allowed." in decided
    assert "No request waits" in decide(installation, mara.national_id, "")

    answered = run(key_file, subject, "--url", installation.url)
    assert answered.returncode == 0, answered.stderr
    values = {one["name"]: one["value"] for one in json.loads(answered.stdout)}
    assert values == {"full_name": mara.name, "bank_account": mara.tax["bank_account"]}
    # The same command is the same request, which was answered; another case is another request.
    assert json.loads(run(key_file, subject).stdout)["state"] == "released"
    assert {one["name"] for one in json.loads(run(key_file, subject, "--case", "2").stdout)} == values.keys()


def test_a_problem_is_shown(key_file):
    refused = run(key_file, "national-id:VAL-146889-1", "birth_date=at_least:18", "--case", "outside")
    assert refused.returncode == 1
    assert "outside-agreement" in refused.stderr


def test_it_is_short_and_stands_on_public_libraries_only():
    text = PROGRAM.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    assert imported - sys.stdlib_module_names <= {"httpx", "jwt", "joserfc", "cryptography"}
