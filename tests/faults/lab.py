"""What the tests of faults share: a study of many short runs, its calls, what must hold after."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from ablation_lab.store.leases import any_left
from ablation_lab.store.runs import StoredRun, runs_of
from ablation_lab.store.trials import open_storage
from tests.cli.lab import ONE_WORKER, Lab, Outcome, ended, group_members, wait_until

# Seconds in which a call has ended that is asked to, on a loaded machine.
SOON = 20.0
# Examples in their stored order have each run train alone: the store fills one by one.
MANY: dict[str, Any] = {
    "title": "Many short runs",
    "question": "Is any run lost, or done twice?",
    "source": "a test",
    "metric": "test_accuracy",
    "run": {
        "model": {"family": "mlp", "widths": [2]},
        "data": {"name": "digits"},
        "optimizer": {"name": "adam", "learning_rate": 0.1},
        "training": {"epochs": 9, "batch_size": 100, "shuffle": False},
    },
    "factors": {"init": {"key": "model.init", "levels": ["normal", "uniform", "he_normal"]}},
    "profiles": {"smoke": {"replicates": 6}},
}
CELLS = ["init=normal", "init=uniform", "init=he_normal"]
EVERY = sorted(product(CELLS, range(6)))
Results = dict[tuple[str, int], dict[str, float]]


@dataclass
class Many:
    """The study of many runs in a lab, on stores at these addresses."""

    lab: Lab
    uri: str
    queue: str

    def __post_init__(self) -> None:
        self.lab.declare("many", MANY)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a call for the study."""
        words = ("study=many", "reports=null", ONE_WORKER, f"tracking.queue={self.queue}")
        environment |= {"MLFLOW_TRACKING_URI": self.uri}
        return self.lab.start(*words, *arguments, **environment)

    def call(self, *arguments: str) -> Outcome:
        """Start a call and wait for its end."""
        return ended(self.start(*arguments))

    def stored(self) -> list[StoredRun]:
        """Return every run that the store has, whatever its status."""
        return runs_of(self.uri, ["many.replicates"])["many.replicates"]

    def finished(self) -> int:
        """Return how many runs the store has that finished."""
        return sum(run.is_finished for run in self.stored())

    def spooled(self) -> set[str]:
        """Return the ids of the runs that wait on disk."""
        files = [file.read_bytes() for file in self.spool.glob("*/runs.jsonl")]
        lines = [line for file in files for line in file.splitlines(keepends=True)[1:]]
        return {
            json.loads(line.partition(b" ")[2])["entry"]["run_id"]
            for line in lines
            if line.endswith(b"\n")
        }

    @property
    def spool(self) -> Path:
        """The folder of the spools."""
        return self.lab.folder / "runs" / "spool"

    def start_and_train(self, more: int) -> subprocess.Popen[str]:
        """Start a call; return while it trains, with ``more`` new finished runs in the store."""
        wanted = self.finished() + more
        runner = self.start()
        wait_until(
            lambda: runner.poll() is not None or self.finished() >= wanted,
            what=f"{wanted} finished runs",
        )
        assert runner.poll() is None, runner.communicate()
        return runner

    def results(self) -> Results:
        """Return what was measured of each run, but for times."""
        return {
            (run.tags["ablation.cell"], int(run.tags["ablation.replicate"])): {
                name: value
                for name, value in run.metrics.items()
                if name.startswith(("test_", "train_", "val_"))
            }
            for run in self.stored()
        }

    def assert_whole(self, undisturbed: Results) -> None:
        """Every declared run once, equal to the undisturbed one; nothing open or left over."""
        stored = self.stored()
        assert [run.status for run in stored] == ["FINISHED"] * len(EVERY)
        assert self.results() == undisturbed
        assert self.open_trials() == []
        assert not any_left(self.queue)
        assert not self.spool.exists()
        self._assert_no_orphan({run.run_id for run in stored})

    def open_trials(self) -> list[TrialState]:
        """Return the states of the trials that have not ended."""
        storage = open_storage(self.queue)
        studies = storage.get_all_studies()
        trials = [each for study in studies for each in storage.get_all_trials(study._study_id)]
        states = [trial.state for trial in trials]
        storage.engine.dispose()
        return [state for state in states if not state.is_finished()]

    def _assert_no_orphan(self, known: Collection[str]) -> None:
        folder = self.lab.folder / "runs"
        kept = {path.parent.name for path in folder.glob("artifacts/many.replicates/*/artifacts")}
        assert kept <= set(known)
        assert list(folder.glob("work/*")) == []


def kill(runner: subprocess.Popen[str]) -> None:
    """Kill a runner; return when its workers are gone."""
    runner.kill()
    runner.communicate()
    gone(runner)


def gone(runner: subprocess.Popen[str]) -> None:
    """Wait for the end of everything that a runner started."""
    # Python's own tracker of semaphores ends when it sees that the runner has.
    wait_until(lambda: not group_members(runner.pid), what="the end of the workers", seconds=30)


def workers_of(runner: int) -> list[int]:
    """Return the workers of a runner: started fresh, or forked from the process that is ready."""
    commands = {pid: _command(pid) for pid in group_members(runner)}
    found = [
        pid
        for pid, command in commands.items()
        if "spawn_main" in command
        or ("forkserver" in command and "forkserver" in commands.get(_parent(pid), ""))
    ]
    assert found
    return found


def starting(runner: int) -> list[int]:
    """Return the processes by which a runner starts workers, and those that it started."""
    signs = ("spawn_main", "forkserver")
    return [pid for pid in group_members(runner) if any(s in _command(pid) for s in signs)]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:  # it ended in the meantime
        return ""


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def stop_workers_of(runner: subprocess.Popen[str]) -> None:
    """Stop every worker of a runner, so that it hears nothing."""
    for pid in workers_of(runner.pid):
        os.kill(pid, signal.SIGSTOP)
