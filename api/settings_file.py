"""Settings as text, from the environment and from the TOML file that ``CDX_CONFIG`` names; the environment wins."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = "CONFIG"


def read(environ: Mapping[str, str], prefix: str, faults: list[str]) -> dict[str, str]:
    """All that begins with the prefix, by its name in the environment; faults of the file are added to ``faults``."""
    given = {name: value for name, value in environ.items() if name.startswith(prefix) and name != prefix + FILE}
    return _from_file(environ.get(prefix + FILE), prefix, faults) | given


def _from_file(path: str | None, prefix: str, faults: list[str]) -> dict[str, str]:
    if not path:
        return {}
    try:
        with Path(path).open("rb") as file:
            document = tomllib.load(file)
    except OSError as exc:
        faults.append(f"{prefix}{FILE}: {exc.strerror}: {path}")
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        faults.append(f"{prefix}{FILE}: {path} is not TOML: {exc}")
        return {}
    raw: dict[str, str] = {}
    for name, value in document.items():
        # A table is a group of settings: [operator] name = … is CDX_OPERATOR_NAME.
        members = (
            {f"{name}_{part}": inner for part, inner in value.items()} if isinstance(value, dict) else {name: value}
        )
        raw |= {prefix + member.upper(): _as_text(inner) for member, inner in members.items()}
    return raw


def _as_text(value: Any) -> str:
    """A TOML value as the environment would spell it."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
