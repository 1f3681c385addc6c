"""The machine: its cores, what a process costs, and how to describe it."""

import os
import platform
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_TICK: Final = 1 / os.sysconf("SC_CLK_TCK")
CORES: Final = sorted(os.sched_getaffinity(0))
SERVER: Final = {CORES[0]}
CLIENT: Final = {CORES[-1]}
BOTH: Final = SERVER | CLIENT


def family(pid: int) -> list[int]:
    """A process and all that it has started."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                # Behind the name, which may hold anything: state, parent, …
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found.extend(children.get(one, ()))
    return found


def pin(pid: int, cores: Iterable[int]) -> None:
    """Keep a process, its threads and all that it has started on some cores."""
    for one in family(pid):
        with suppress(OSError):
            for task in (_PROC / str(one) / "task").iterdir():
                with suppress(OSError):
                    os.sched_setaffinity(int(task.name), cores)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all that it has started, so far."""
    total = 0
    for one in family(pid):
        with suppress(OSError):
            fields = (_PROC / str(one) / "stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total * _TICK


def describe(database: str) -> list[tuple[str, str]]:
    """What a reader needs to compare: processor, memory, system, versions."""
    packages = ("granian", "flask", "flask-smorest", "marshmallow", "sqlalchemy", "psycopg", "cryptography")
    return [
        ("Processor", f"{_first('cpuinfo', 'model name')}, {len(CORES)} cores used"),
        ("Memory", f"{int(_first('meminfo', 'MemTotal').split()[0]) / 2**20:.1f} GiB"),
        ("System", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        ("Python", platform.python_version()),
        ("Databases", database),
        ("Packages", ", ".join(f"{name} {version(name)}" for name in packages)),
    ]


def _first(file: str, name: str) -> str:
    for line in (_PROC / file).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"
