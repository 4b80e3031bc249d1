"""A project of the cookbook in a folder of its own: killed in the middle, and called again."""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from pathlib import Path

from tests.cli.lab import ROOT, Lab, group_members, wait_until

COOKBOOK = ROOT / "docs" / "cookbook"


class Cooked(Lab):
    """A copy of a project; what it runs can be counted."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.uri = f"sqlite:///{folder / 'runs' / 'mlflow.db'}"
        shutil.copytree(COOKBOOK / name, folder, dirs_exist_ok=True)

    def finished(self, study: str) -> Counter[tuple[str, int]]:
        """Return how often each declared run is there, finished."""
        return Counter(run.name for run in self.runs(study) if run.status == "FINISHED")


def killed_and_called_again(project: Cooked, study: str, *arguments: str, runs: int) -> None:
    """Kill the runner when some runs are there; a second call trains only the rest."""
    call = project.start(*arguments)
    wait_until(lambda: 0 < len(project.finished(study)) < runs, what="a run, and not all of them")
    os.kill(call.pid, signal.SIGKILL)
    call.communicate()
    wait_until(lambda: not group_members(call.pid), what="the end of its workers")
    kept = {run.run_id for run in project.runs(study) if run.status == "FINISHED"}
    assert 0 < len(kept) < runs
    again = project.call(*arguments)
    assert again.status == 0, again.err
    assert f"{runs} runs: {len(kept)} done, {runs - len(kept)} to do" in again.out
    found = project.finished(study)
    assert (len(found), set(found.values())) == (runs, {1})
    assert kept <= {run.run_id for run in project.runs(study)}
    assert not list((project.folder / "runs" / "work").glob("*"))
    assert (project.folder / "reports" / "smoke" / study / "runs.csv").is_file()
