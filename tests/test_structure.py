"""The house keeps its order: which room imports which, what the product may know."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_modules.registry import ROLES

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("ablation_lab", "lightning_modules", "experiments")
# Room of the product -> the rooms below it. Errors, endings, signals and output are everybody's.
BELOW = {
    "data": (),
    "study": ("data",),
    "store": ("study", "data"),
    "training": ("study", "data"),
    "engines": ("training", "study"),
    "runner": ("engines", "training", "statistics", "store", "study", "data"),
    "statistics": ("study",),
    "report": ("statistics", "store", "study"),
    "service": ("runner", "engines", "training", "statistics", "store", "study", "data"),
}
EVERYBODYS = ("ending", "errors", "output", "signals")


def files(package: str) -> list[Path]:
    every = sorted((ROOT / package).rglob("*.py"))
    found = [path for path in every if "templates" not in path.parts]
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
            module = node.module or "." * node.level
            yield from (f"{module}.{alias.name}" for alias in node.names)


def importers(package: str, *wanted: str) -> set[str]:
    """Return the files of a package that import one of the wanted modules."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in files(package)
        if any(
            name == each or name.startswith(f"{each}.") for name in imports(path) for each in wanted
        )
    }


@pytest.mark.parametrize("room", BELOW)
def test_imports_of_the_product_run_one_way(room: str) -> None:
    wrong = {
        (path.relative_to(ROOT / "ablation_lab").as_posix(), name)
        for path in files(f"ablation_lab/{room}")
        for name in imports(path)
        if name.startswith("ablation_lab.")
        and name.split(".")[1] not in (room, *BELOW[room], *EVERYBODYS)
    }
    assert wrong == set()


def test_the_product_knows_nothing_of_the_lectures() -> None:
    assert not importers("ablation_lab", "experiments", "analysis", "tests")
    assert not importers("lightning_modules", "experiments", "analysis", "tests", "ablation_lab")
    assert not importers("lightning_modules", "mlflow", "optuna", "hydra")


# Names of the lectures' that are also words of the field, or of a family, data set or setting.
SHARED = frozenset(
    {
        *("argmax", "batch_size", "boundaries", "computed", "dropout", "ensemble", "factorial"),
        *("features", "gradients", "ladder", "learning_rate", "optimizers", "rbm", "train_size"),
    }
)


def lectures_names() -> set[str]:
    """Return every name of a study, check or data set that is the lectures' and theirs alone."""
    importlib.import_module("experiments")
    theirs = {path.stem for path in (ROOT / "conf" / "study").glob("*.yaml")}
    ours: set[str] = set()
    for registry in ROLES.values():
        for name in registry.names():
            places = registry.places(name)
            belongs = any(place.path.is_relative_to(ROOT / "experiments") for place in places)
            (theirs if belongs else ours).add(name)
    return theirs - ours


def sentences(package: str) -> Iterator[tuple[str, str]]:
    """Yield (place, line) of every text that is shipped with a package."""
    for path in sorted((ROOT / package).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            text = path.read_text(encoding="utf-8", errors="ignore")
            for number, line in enumerate(text.splitlines(), start=1):
                yield f"{path.relative_to(ROOT)}:{number}", line


@pytest.mark.parametrize("package", ["ablation_lab", "lightning_modules"])
def test_no_source_of_the_product_has_a_word_of_the_lectures(package: str) -> None:
    names = lectures_names()
    assert {"xor_depth", "points6", "and_gate"} <= names
    assert names >= SHARED
    words = sorted(re.escape(name) for name in names - SHARED)
    theirs = re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)|(?i:\b(?:deck|lecture|slide)s?\b)")
    assert theirs.search("as in the decks")
    found = [(place, line) for place, line in sentences(package) if theirs.search(line)]
    assert found == []


# Words that have another one today -> where they mean something else, or name what is stored.
STORED = ("ablation_lab/store/tags.py", "ablation_lab/study/former.py")
FORMER_WORDS: dict[str, tuple[str, ...]] = {
    r"claims?|claimed": (  # reference value, lease
        *STORED,
        *("ablation_lab/study/references.py", "ablation_lab/study/names.py"),
    ),
    r"printed values?": (),  # reference value
    r"ledgers?": (  # queue; a gate's is one of levels
        *STORED,
        *(
            f"ablation_lab/{place}.py"
            for place in ("store/alpha", "runner/gate", "runner/proposal", "service/gating")
        ),
    ),
    r"drivers?": ("ablation_lab/store/", "ablation_lab/engines/devices.py"),  # runner
    r"n/c": (),  # not converged
    r"adopt(s|ed|ing)?": (*STORED, "ablation_lab/runner/composition.py"),  # rekey
    r"observ(e|es|ed|ing|ations?)": (  # probe
        *STORED,
        *("ablation_lab/study/record.py", "ablation_lab/store/", "ablation_lab/report/figure_"),
    ),
    r"reproduced|arithmetic checked|erratum (not )?confirmed": (),  # equal, differs
    r"too few": ("ablation_lab/statistics/", "ablation_lab/report/"),  # needs n >=
}


@pytest.mark.parametrize("word", FORMER_WORDS)
def test_words_that_have_another_one_do_not_come_back(word: str) -> None:
    former = re.compile(rf"\b(?:{word})\b", re.IGNORECASE)
    found = [
        (place, line)
        for place, line in sentences("ablation_lab")
        if former.search(line) and not place.startswith(FORMER_WORDS[word])
    ]
    assert found == []


def test_the_report_needs_nothing_that_trains() -> None:
    for room in ("statistics", "report", "store"):
        assert not importers(f"ablation_lab/{room}", "torch", "pytorch_lightning", "hydra")


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        (
            "optuna",
            {
                "ablation_lab/store/trials.py",
                "ablation_lab/runner/queue.py",
                "ablation_lab/runner/tuning.py",
            },
        ),
        ("hydra", {"ablation_lab/__main__.py", "ablation_lab/cli.py", "ablation_lab/runner/"}),
        ("mlflow", {"ablation_lab/store/"}),
    ],
)
def test_every_store_has_its_only_importer(library: str, allowed: set[str]) -> None:
    found = {path for package in PACKAGES for path in importers(package, library)}
    assert found
    assert {path for path in found if not path.startswith(tuple(allowed))} == set()


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("ablation_lab", ["pandas", "matplotlib", "seaborn", "torch", "mlflow"]),
        ("ablation_lab.runner.session", ["torch", "mlflow", "optuna", "pandas"]),
        ("ablation_lab.runner.configuration", ["torch", "mlflow", "optuna"]),
        ("ablation_lab.store.runs", ["torch", "mlflow", "pandas"]),
        ("ablation_lab.report.report", ["seaborn", "sklearn", "mlflow"]),
        ("ablation_lab.study.project", ["torch", "mlflow", "optuna", "pandas"]),
        ("lightning_modules", ["torch"]),
        ("experiments", ["torch", "mlflow", "pandas"]),
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


def test_keep_prob_is_turned_round_once() -> None:
    """Torch's dropout takes 1 - keep_prob, and one place builds it."""
    found = [
        f"{path.name}:{node.lineno}"
        for package in PACKAGES
        for path in files(package)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Sub)
        and "keep_prob" in ast.unparse(node.right)
    ]
    assert len(found) == 1, found


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
