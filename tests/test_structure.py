"""The packages keep their borders: who imports what, and how long files are."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("experiments", "lightning_modules", "analysis")


def files(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found
    return found


def imports(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, inside functions too, type checking apart."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    unreal = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in unreal:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "." * node.level


def importers(package: str, *wanted: str) -> set[str]:
    """Return the files of a package that import one of the wanted modules."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in files(package)
        if any(name.split(".")[0] in wanted or name in wanted for name in imports(path))
    }


def test_the_analysis_needs_nothing_that_trains() -> None:
    assert not importers("analysis", "torch", "pytorch_lightning", "hydra", "optuna")
    assert not importers("analysis", "lightning_modules")


def test_the_analysis_publishes_and_reads_what_is_declared_in_one_place_each() -> None:
    used = {name for path in files("analysis") for name in imports(path) if "experiments" in name}
    allowed = {
        "experiments.tracking": {"analysis/__main__.py"},
        "experiments.declaration.catalogue": {"analysis/catalogue.py"},
    }
    assert used == set(allowed)
    for module, places in allowed.items():
        assert importers("analysis", module) == places


def test_the_running_half_does_not_know_the_analysis() -> None:
    assert not importers("experiments", "analysis")
    assert not importers("lightning_modules", "analysis")


def test_modules_import_nothing_of_ours_but_themselves() -> None:
    assert not importers("lightning_modules", "experiments", "analysis")
    assert not importers("lightning_modules", "mlflow", "optuna", "hydra")


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        ("optuna", {"experiments/driver/ledger.py", "experiments/driver/tuning.py"}),
        ("hydra", {"experiments/application.py", "experiments/composition.py"}),
        ("mlflow", {"experiments/tracking/", "analysis/frame.py"}),
    ],
)
def test_every_store_has_its_only_importer(library: str, allowed: set[str]) -> None:
    found = {path for package in PACKAGES for path in importers(package, library)}
    assert found
    assert {path for path in found if not path.startswith(tuple(allowed))} == set()


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("experiments.driver.session", ["torch", "mlflow", "optuna", "pandas"]),
        ("experiments.declaration.configuration", ["torch", "mlflow", "optuna"]),
        ("experiments.driver.finished", ["torch", "mlflow"]),
        ("analysis", ["pandas", "matplotlib", "seaborn", "torch"]),
        ("analysis.report", ["seaborn", "sklearn", "mlflow"]),
        ("analysis.catalogue", ["torch", "mlflow", "optuna", "pandas"]),
        ("lightning_modules", ["torch"]),
    ],
)
def test_importing_is_cheap(module: str, absent: list[str]) -> None:
    code = f"import sys, {module}; print(*(name for name in {absent} if name in sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


@pytest.mark.parametrize("package", PACKAGES)
def test_keep_prob_is_turned_round_at_most_once(package: str) -> None:
    """Torch's dropout takes 1 - keep_prob, and one place builds it."""
    found = [
        f"{path.name}:{node.lineno}"
        for path in files(package)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Sub)
        and "keep_prob" in ast.unparse(node.right)
    ]
    assert len(found) == (1 if package == "lightning_modules" else 0), found


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_is_longer_than_300_lines(package: str) -> None:
    lines = {
        path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in files(package)
    }
    assert {name: count for name, count in lines.items() if count > 300} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_file_says_what_it_is(package: str) -> None:
    silent = [
        path.name
        for path in files(package)
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []
