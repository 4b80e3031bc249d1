"""The worked example of CONTRIBUTING: one function each, and the names are levels of a study."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from ablation_lab.errors import ConfigurationError
from ablation_lab.study.declare import Declared, check_names, declare
from ablation_lab.study.record import Status
from ablation_lab.study.run import Stack, TrainerName
from ablation_lab.study.schema import parse_study
from ablation_lab.training.execute import execute
from lightning_modules import activations, initializers, optimizers
from tests.lightning_modules.properties import (
    check_activation,
    check_initializer,
    check_optimizer,
)

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FUNCTIONS = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
(LEVELS,) = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)
PLACES: list[tuple[ModuleType, Any]] = [
    (activations, activations.ACTIVATIONS),
    (initializers, initializers.INITIALIZERS),
    (optimizers, optimizers.OPTIMIZERS),
]
STUDY = {
    "title": "The examples of CONTRIBUTING",
    "question": "Are they levels?",
    "source": "a test",
    "metric": "success",
    "run": {
        "model": {"family": "mlp", "widths": [4]},
        "data": {"name": "xor"},
        "optimizer": {"name": "sgd", "learning_rate": 0.1},
        "training": {"steps": 100},
    },
    "factors": yaml.safe_load(LEVELS),
    "profiles": {"smoke": {"replicates": 1}},
}


@pytest.fixture
def added(tmp_path: Path) -> Iterator[None]:
    """Add the functions to their modules, each from a file that can be read again."""
    before = []
    for (module, registry), block in zip(PLACES, FUNCTIONS, strict=True):
        source = tmp_path / Path(str(module.__file__)).name
        source.write_text(block, encoding="utf-8")
        before.append((registry, dict(registry._things)))
        exec(compile(block, str(source), "exec"), vars(module))
    yield
    for registry, things in before:
        registry._things.clear()
        registry._things.update(things)


def declared() -> Declared:
    return declare(parse_study("example", STUDY), "smoke")


def test_without_the_functions_the_names_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"unknown name '(hard_tanh|triangular|nesterov)'"):
        check_names(declared())


@pytest.mark.usefixtures("added")
def test_with_them_every_level_trains() -> None:
    study = declared()
    check_names(study)
    assert len(study.runs) == 8
    losses = {}
    for run in study.runs:
        (record,) = execute(Stack((run,), TrainerName.SINGLE, "a test"))
        assert record.status is Status.FINISHED, record.error
        curve = record.curves["train_loss"]
        assert curve[-1][1] < curve[0][1]
        losses[run.cell] = curve[-1][1]
    # Each of the three changes the result, so each was really used.
    assert len(set(losses.values())) == 8


@pytest.mark.usefixtures("added")
def test_every_property_of_its_kind_holds_of_each() -> None:
    check_activation("hard_tanh")
    check_initializer("triangular")
    check_optimizer("nesterov")


@pytest.mark.slow
def test_with_the_functions_in_their_files_the_tests_of_their_kinds_pass(tmp_path: Path) -> None:
    for name in ("ablation_lab", "conf", "experiments", "lightning_modules", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    files = []
    for (module, _), block in zip(PLACES, FUNCTIONS, strict=True):
        source = Path(str(module.__file__))
        with (tmp_path / "lightning_modules" / source.name).open("a", encoding="utf-8") as file:
            file.write("\n\n" + block)
        files.append(f"tests/lightning_modules/test_{source.name}")
    command = [sys.executable, "-m", "pytest", "-n", "0", "-vv", *files]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    for name in ("hard_tanh", "triangular", "nesterov"):
        assert f"[{name}] PASSED" in done.stdout
