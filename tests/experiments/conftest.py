"""What the tests of the running half share: presets, a small study, runs made in one line."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments.declaration.settings import Presets, resolve
from experiments.run import Run

CONF = Path(__file__).resolve().parents[2] / "conf"

XOR: dict[str, Any] = {
    "model": {"family": "mlp", "widths": [3], "bias_init": "normal", "init": "normal"},
    "data": {"name": "xor"},
    "optimizer": {"name": "sgd", "learning_rate": 0.1},
    "training": {"steps": 20, "loss": "printed"},
}

DECLARATION: dict[str, Any] = {
    "title": "A title",
    "question": "Does width matter?",
    "source": "a test",
    "metric": "success",
    "baseline": {"width": "small"},
    "run": XOR,
    "factors": {
        "width": {"levels": {"small": {"model.widths": [2]}, "large": {"model.widths": [5]}}},
        "activation": {"key": "model.activation", "levels": ["sigmoid", "relu"]},
    },
    "profiles": {"smoke": {"replicates": 2}},
}


@pytest.fixture(scope="session")
def presets() -> Presets:
    """Return the presets of ``conf``."""
    groups = {
        group: {path.stem: yaml.safe_load(path.read_text()) for path in (CONF / group).glob("*")}
        for group in ("model", "data")
    }
    return Presets(**groups)


@pytest.fixture(scope="session")
def new_declaration() -> Callable[[], dict[str, Any]]:
    """Return a function that gives a small study as its YAML file would."""
    return lambda: copy.deepcopy(DECLARATION)


@pytest.fixture
def declaration(new_declaration: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return a small study; a test may change it."""
    return new_declaration()


@pytest.fixture
def config() -> dict[str, Any]:
    """Return the ``run`` section of a small XOR study; a test may change it."""
    return copy.deepcopy(XOR)


@pytest.fixture(scope="session")
def make_run(presets: Presets) -> Callable[..., Run]:
    """Return a function that makes a run of the XOR study with changed settings."""

    def make(*, replicate: int = 0, seed: int = 0, cell: str = "c", **changes: Any) -> Run:
        """Settings are given with two underscores for the dot: ``model__widths=[2]``."""
        overrides = [{key.replace("__", "."): value for key, value in changes.items()}]
        return Run(
            study="small",
            profile="smoke",
            cell=cell,
            replicate=replicate,
            key=f"{cell}-{seed}-{replicate}",
            seed=seed,
            config=resolve(XOR, overrides, presets, "study/small.yaml"),
            factors={"width": cell},
        )

    return make
