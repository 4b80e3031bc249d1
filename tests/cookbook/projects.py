"""A project of the cookbook in a folder of its own: killed in the middle, and called again."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.cli.lab import ROOT, Lab, clean_environment, group_members, wait_until

COOKBOOK = ROOT / "docs" / "cookbook"
OF_THIS_FOLDER = (sys.executable, "-m", "ablation_lab")


class Cooked(Lab):
    """A copy of a project; what it runs can be counted."""

    def __init__(
        self, folder: Path, name: str, lab: tuple[str | Path, ...] = OF_THIS_FOLDER
    ) -> None:
        """``lab`` is what calls the lab: that of this folder, or an installed one."""
        self.folder = folder
        self.uri = f"sqlite:///{folder / 'runs' / 'mlflow.db'}"
        self._lab = lab
        shutil.copytree(COOKBOOK / name, folder, dirs_exist_ok=True)

    def start(
        self, *arguments: str, verb: str = "run", **environment: str
    ) -> subprocess.Popen[str]:
        """Start a call of the smoke profile; an installed lab knows nothing of this folder."""
        given = clean_environment(self.folder) | environment
        if self._lab is not OF_THIS_FOLDER:
            given.pop("PYTHONPATH")
        return subprocess.Popen(
            [*self._lab, verb, "profile=smoke", *arguments],
            cwd=self.folder,
            env=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finished(self, study: str) -> Counter[tuple[str, int]]:
        """Return how often each declared run is there, finished."""
        return Counter(run.name for run in self.runs(study) if run.status == "FINISHED")


def killed_and_called_again(project: Cooked, study: str, *arguments: str, runs: int) -> None:
    """Kill the runner when some runs are there; a second call trains only the rest."""
    call = project.start(*arguments)
    wait_until(
        lambda: 0 < len(project.finished(study)) < runs or call.poll() is not None,
        what="a run, and not all of them",
    )
    os.kill(call.pid, signal.SIGKILL)
    said = call.communicate()
    wait_until(lambda: not group_members(call.pid), what="the end of its workers")
    kept = {run.run_id for run in project.runs(study) if run.status == "FINISHED"}
    assert 0 < len(kept) < runs, said
    again = project.call(*arguments)
    assert again.status == 0, again.err
    counted = re.search(rf"{runs} runs: (\d+) done, (\d+) to do", again.out)
    assert counted, again.out
    done, left = map(int, counted.groups())
    # What was finished and not yet sent when the runner was killed is sent first.
    assert (done + left, done >= len(kept)) == (runs, True)
    found = project.finished(study)
    assert (len(found), set(found.values())) == (runs, {1})
    assert kept <= {run.run_id for run in project.runs(study)}
    assert not list((project.folder / "runs" / "work").glob("*"))
    assert (project.folder / "reports" / "smoke" / study / "runs.csv").is_file()
