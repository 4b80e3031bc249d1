"""What all tests share: a small study, runs made in one line, a migrated store."""

from __future__ import annotations

import copy
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest

import experiments  # noqa: F401 - the data sets of the lectures
from ablation_lab.study.run import Run
from ablation_lab.study.settings import resolve

# One thread, as in the lab's own workers: on a loaded machine several wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A loaded machine is no failure, and the same code gives the same result every time.
hypothesis.settings.register_profile("lab", deadline=None, derandomize=True, max_examples=30)
hypothesis.settings.load_profile("lab")


CONF = Path(__file__).resolve().parents[1] / "conf"

XOR: dict[str, Any] = {
    "model": {"family": "mlp", "widths": [3], "bias_init": "normal", "init": "normal"},
    "data": {"name": "xor"},
    "optimizer": {"name": "sgd", "learning_rate": 0.1},
    "training": {"steps": 20, "loss": "unclipped"},
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


def pytest_configure(config: pytest.Config) -> None:
    """Let one warning of MLflow about its own use of SQLAlchemy pass; all others are errors.

    And hear Ctrl-C, which a shell has its background jobs ignore: tests send it to what they start.
    """
    config.addinivalue_line("filterwarnings", "ignore:The ``noload`` loader strategy")
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Folders and files whose tests share things that take seconds to make.
SHARING = (
    "cli",
    "cookbook",
    "faults",
    "report",
    "data",
    "store/test_postgres",
    "engines",
    "service",
)


def group_of(test: str) -> str:
    """Return what a test shares things with, such as ``tests/cli``; itself where it does not."""
    return next((f"tests/{name}" for name in SHARING if test.startswith(f"tests/{name}")), test)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep tests that share a costly fixture in one process of pytest, if it has several.

    The marks that xdist has for it (3.8) do nothing under pytest 9.2, which keeps ids elsewhere.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Sharing(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return Sharing(config, log)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database with MLflow's tables and no run; creating one takes seconds."""
    from ablation_lab.store.write import Tracker

    path = tmp_path_factory.mktemp("empty_store") / "mlflow.db"
    Tracker(f"sqlite:///{path}", None)
    with sqlite3.connect(path) as connection:
        # Only the file itself is copied, so what still lies in its log has to be written to it.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


@pytest.fixture
def store(empty_store: Path, tmp_path: Path) -> str:
    """Return the address of a fresh, empty store in the test's own folder."""
    path = tmp_path / "mlflow.db"
    shutil.copy(empty_store, path)
    return f"sqlite:///{path}"


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
def make_run() -> Callable[..., Run]:
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
            config=resolve(XOR, overrides, "study/small.yaml"),
            factors={"width": cell},
        )

    return make
