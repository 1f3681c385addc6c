"""Imports point one way: the contracts stand in setup.cfg."""

from importlinter.cli import lint_imports

from tests.architecture.tree import ROOT


def test_every_import_contract_is_kept(capsys):
    broken = lint_imports(config_filename=str(ROOT / "setup.cfg"), cache_dir=str(ROOT / ".cache" / "imports"))
    assert broken == 0, (
        f"{capsys.readouterr().out}\n"
        "Move the code to the package that may know the imported module, or pass in what it needs. "
        "`.venv/bin/lint-imports` says the same outside the tests."
    )
