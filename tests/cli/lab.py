"""The lab as a user starts it: real processes in a folder of their own, and what they left."""

from __future__ import annotations

import copy
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
# No call of these tests takes longer, however loaded the machine is.
LONGEST = 240.0
ONE_WORKER = "engine.workers=1"
ALL = ("study=[width,my_study,gain]", ONE_WORKER)

# Members of four networks, and ensembles of two of them.
GAIN = {
    "title": "Ensemble size",
    "question": "Do two networks know more than one?",
    "source": "a test",
    "metric": "test_accuracy",
    "run": {
        "model": {"family": "mlp", "widths": [8]},
        "data": {"name": "digits"},
        "optimizer": {"name": "adam", "learning_rate": 0.001},
        "training": {"epochs": 1, "batch_size": 100},
    },
    "factors": {"size": {"key": "ensemble.size", "levels": [1, 2]}},
    "profiles": {"smoke": {"replicates": 4}},
}

# A small study, into which a test puts what is wrong.
STUDY: dict[str, Any] = {
    "title": "A study",
    "question": "Is bad input refused?",
    "source": "a test",
    "metric": "success",
    "baseline": {"width": "small"},
    "run": {
        "model": {"family": "mlp"},
        "data": {"name": "xor"},
        "optimizer": {"name": "sgd", "learning_rate": 0.1},
        "training": {"steps": 20},
    },
    "factors": {
        "width": {"levels": {"small": {"model.widths": [2]}, "large": {"model.widths": [5]}}}
    },
    "profiles": {"smoke": {"replicates": 2}},
}

RUNS = """
SELECT cells.value, replicates.value, runs.status, runs.run_uuid
FROM runs
JOIN experiments ON experiments.experiment_id = runs.experiment_id
JOIN tags AS cells ON cells.run_uuid = runs.run_uuid AND cells.key = 'ablation.cell'
JOIN tags AS replicates
  ON replicates.run_uuid = runs.run_uuid AND replicates.key = 'ablation.replicate'
WHERE experiments.name = ? AND runs.lifecycle_stage = 'active'
ORDER BY cells.value, replicates.value
"""


def study_with(key: str, value: object) -> dict[str, Any]:
    """Return the small study with one dotted key changed."""
    study = copy.deepcopy(STUDY)
    *path, last = key.split(".")
    section = study
    for name in path:
        section = section[name]
    section[last] = value
    return study


@dataclass(frozen=True)
class Outcome:
    """How a call ended, and what it printed."""

    status: int
    out: str
    err: str


def refused(outcome: Outcome, folder: Path) -> str:
    """Check that a call was refused properly; return its one line."""
    assert outcome.status == 2, outcome
    assert outcome.err.count("\n") == 1, outcome.err
    assert outcome.err.startswith("error: ")
    assert not (folder / "runs").exists()
    assert not (folder / "reports").exists()
    return outcome.err


def store_of_an_older_schema(path: Path) -> None:
    """Create as much of an older store as says that it is one."""
    with sqlite3.connect(path) as store:
        store.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        store.execute("INSERT INTO alembic_version VALUES ('bd07f7e963c5')")
    store.close()


@dataclass(frozen=True)
class Stored:
    """One run in MLflow's database."""

    cell: str
    replicate: int
    status: str
    run_id: str

    @property
    def name(self) -> tuple[str, int]:
        return self.cell, self.replicate


class Lab:
    """One working folder: the examples' files, the studies that a test adds, runs/, reports/."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uri = f"sqlite:///{folder / 'runs' / 'mlflow.db'}"
        shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
        self.declare("gain", GAIN)

    def declare(self, name: str, study: dict[str, object]) -> None:
        """Write a study file."""
        text = yaml.safe_dump({name: study}, sort_keys=False)
        (self.folder / "conf" / "study" / f"{name}.yaml").write_text(text, encoding="utf-8")

    def start(
        self, *arguments: str, verb: str = "run", **environment: str
    ) -> subprocess.Popen[str]:
        """Start a call of the smoke profile in a process group of its own."""
        command = [sys.executable, "-m", "ablation_lab", verb, "profile=smoke", *arguments]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=clean_environment(self.folder) | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def call(self, *arguments: str, **environment: str) -> Outcome:
        """Start a call and wait for its end."""
        return ended(self.start(*arguments, **environment))

    def plan(self, *arguments: str) -> Outcome:
        """Have said what would be trained."""
        return ended(self.start(*arguments, verb="plan"))

    def runs(self, study: str) -> list[Stored]:
        """Return every run of the study that is not deleted, whatever its status."""
        path = self.folder / "runs" / "mlflow.db"
        if not path.exists():
            return []
        try:
            with sqlite3.connect(path, timeout=60) as store:
                rows = store.execute(RUNS, (f"{study}.replicates",)).fetchall()
        except sqlite3.OperationalError:  # a store in the making has no tables yet
            return []
        return [Stored(cell, int(replicate), status, run) for cell, replicate, status, run in rows]

    def moved(self, folder: Path) -> Lab:
        """Move the working folder; return the lab in its new place."""
        self.folder.rename(folder)
        lab = copy.copy(self)
        lab.folder, lab.own = folder, folder / "own"
        lab.uri = f"sqlite:///{folder / 'runs' / 'mlflow.db'}"
        return lab

    def copy_store(self, other: Lab) -> None:
        """Take over the store of another lab."""
        shutil.copytree(other.folder / "runs" / "artifacts", self.folder / "runs" / "artifacts")
        for name in ("mlflow.db", "queue.db"):
            source = sqlite3.connect(other.folder / "runs" / name)
            target = sqlite3.connect(self.folder / "runs" / name)
            source.backup(target)
            source.close()
            target.close()


def clean_environment(home: Path, *packages: Path) -> dict[str, str]:
    """Return an environment without settings of the lab, a cache or a way to the network."""
    python_path = ":".join(map(str, (ROOT, *packages)))
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("ABLATION_", "MLFLOW_", "PYTEST_", "XDG_"))
    }
    nowhere = "http://127.0.0.1:9"
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), nowhere)
    here = {"no_proxy": "127.0.0.1", "PYTHONPATH": python_path, "HOME": str(home)}
    return kept | proxies | here


def ended(process: subprocess.Popen[str]) -> Outcome:
    """Wait for a call; end it and its workers if it takes far too long."""
    try:
        out, err = process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        pytest.fail(f"no end after {LONGEST:.0f} s; so far it printed:\n{out}\n{err}")
    return Outcome(process.returncode, out, err)


def wait_until(condition: Callable[[], bool], *, what: str, seconds: float = LONGEST) -> None:
    """Look until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"not seen within {seconds:.0f} s: {what}")
        time.sleep(0.02)


def group_members(group: int) -> list[int]:
    """Return the living processes of a process group."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:  # it ended in the meantime
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


@dataclass(frozen=True)
class Finished:
    """A lab in which three studies are done, and how its first call ended."""

    lab: Lab
    first: Outcome


@dataclass(frozen=True)
class FirstCall:
    """A call that trains everything while other tests run."""

    lab: Lab
    process: subprocess.Popen[str]

    def stop(self) -> None:
        """End it, if no test waited for it."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        if self.process.stdout and not self.process.stdout.closed:
            self.process.communicate()


Call = Callable[..., Outcome]
