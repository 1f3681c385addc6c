"""Runs ``cdx`` as operators do: as a program of its own, with an environment of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
SECONDS = 120


def environment(folder, **settings):
    """A development installation in ``folder``; nothing of the tests' own environment but where programs are."""
    own = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    return own | {
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "error",
        "CDX_ENVIRONMENT": "development",
        "CDX_PUBLIC_URL": "http://127.0.0.1:8000",
        "CDX_DATABASE_URL": f"sqlite:///{folder / 'cdx.db'}",
        "CDX_UNSAFE_LOCAL_KEYS_DIR": str(folder / "keys"),
        **settings,
    }


def cdx(environ, *arguments, status=0, given=None, cwd=None):
    """Runs a command; returns what it printed, both ways together."""
    done = subprocess.run(
        [sys.executable, "-m", "api.cli", *map(str, arguments)],
        env=environ,
        cwd=cwd,
        input=given,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr
