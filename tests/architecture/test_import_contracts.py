"""Imports point one way: the contracts stand in setup.cfg."""

import logging
from collections.abc import Iterator

import pytest
from importlinter.cli import lint_imports

from tests.architecture.tree import ROOT


@pytest.fixture
def loggers_stay_on() -> Iterator[None]:
    """The checker configures logging for itself, which disables all loggers there are, for the tests after it too."""
    before = [one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    off = [one for one in before if one.disabled]
    yield
    for one in before:
        one.disabled = one in off


@pytest.mark.usefixtures("loggers_stay_on")
def test_every_import_contract_is_kept(capsys):
    broken = lint_imports(config_filename=str(ROOT / "setup.cfg"), cache_dir=str(ROOT / ".cache" / "imports"))
    assert broken == 0, (
        f"{capsys.readouterr().out}\n"
        "Move the code to the package that may know the imported module, or pass in what it needs. "
        "`.venv/bin/lint-imports` says the same outside the tests."
    )
