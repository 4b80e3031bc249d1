"""Calls of commands: refused before anything starts, set up once, going on where runs fail."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.cli.lab import clean_environment, refused
from tests.cli.test_import import table
from tests.cookbook.projects import Cooked

SCRIPT = """
import sys
from pathlib import Path
if sys.argv[1] == "bad":
    raise ValueError("no such data")
print(sys.argv[1:])
Path(sys.argv[2], "metrics.csv").write_text("name,value,step\\nacc,0.5,1\\nacc,0.75,2\\n")
"""
STUDY: dict[str, Any] = {
    "title": "A script",
    "question": "Which data?",
    "source": "a test",
    "metric": {"name": "acc", "direction": "maximize"},
    "run": {
        "command": ["python", "script.py", "${data}", "${out}"],
        "setup": [["sh", "-c", "echo set up >> setup.txt"]],
        "limits": {"minutes": 1},
    },
    "factors": {"data": ["good", "bad"]},
    "profiles": {"smoke": {"replicates": 2}},
}


@pytest.fixture
def project(tmp_path: Path) -> Cooked:
    made = Cooked(tmp_path, "argparse")
    (made.folder / "script.py").write_text(SCRIPT)
    made.declare("data", STUDY)
    return made


def test_a_study_goes_on_where_runs_fail_and_says_why(project: Cooked) -> None:
    done = project.call("study=data")
    assert done.status == 1
    (line,) = done.err.splitlines()
    assert line.startswith("failed: data data=bad replicate 0 and 1 more: command 'python script")
    assert (
        "(script.py:5 in <module>): exit status 1: ValueError: no such data (traceback: runs/"
        in line
    )
    named = line.rpartition("(traceback: ")[2].rstrip(")")
    assert "ValueError: no such data" in (project.folder / named).read_text()
    assert (project.folder / "setup.txt").read_text() == "set up\n"
    assert project.finished("data") == {("data=good", 0): 1, ("data=good", 1): 1}
    rows = (project.folder / "reports/smoke/data/runs.csv").read_text().splitlines()
    assert len(rows) == 5
    (project.folder / "script.py").write_text(SCRIPT.replace('"bad"', '"worse"'))
    assert project.call("study=data").status == 0
    assert len(list((project.folder / "runs/artifacts").rglob("output.txt"))) == 4 + 2
    assert len(list((project.folder / "runs/artifacts").rglob("out/metrics.csv"))) == 4 + 2


def test_what_is_wrong_is_refused_before_anything_starts(project: Cooked) -> None:
    project.declare("data", {**STUDY, "factors": {"date": ["good"]}})
    done = project.call("study=data")
    lines = done.err.splitlines()
    assert done.status == 2
    assert "study/data.yaml, line" in lines[0]
    assert "unknown placeholder ${data}; nearest: 'date'" in done.err
    assert not (project.folder / "runs").exists()
    assert not (project.folder / "setup.txt").exists()


def test_a_setup_that_fails_ends_the_call(project: Cooked) -> None:
    run = {**STUDY["run"], "setup": [["sh", "-c", "echo no network; exit 7"]]}
    project.declare("data", {**STUDY, "run": run})
    line = refused(project.call("study=data"), project.folder)
    assert "study/data.yaml: run.setup: 'sh -c echo no network; exit 7'" in line
    assert "exit status 7: no network" in line


def test_the_command_line_changes_settings_of_commands(project: Cooked) -> None:
    planned = project.plan("study=rates", "params.epochs=3", "limits.minutes=2")
    assert planned.err == ""
    assert "8 × command, 1 run each: a process of its own; code: train.py (as declared)" in (
        planned.out
    )
    assert "about 8 min on 2 workers" in planned.out


def test_what_was_imported_is_done_and_the_rest_is_trained(project: Cooked) -> None:
    rows = ["lr,decay,seed,loss", "0.1,0,7,0.1", "0.1,0,8,0.2", "0.1,0.01,7,0.3"]
    (project.folder / "theirs.csv").write_text("\n".join(rows))
    command = [sys.executable, "-m", "ablation_lab", "import", "theirs.csv", "--into", "rates"]
    for told in ("3 runs imported", "0 runs imported, 3 were there already"):
        done = subprocess.run(
            [*command, "--replicate", "seed", "profile=smoke"], cwd=project.folder, text=True,
            env=clean_environment(project.folder), capture_output=True, check=True,
        )  # fmt: skip
        assert f"rates: {told}" in done.stdout
    again = project.call("study=rates", "engine.workers=1")
    assert "8 runs: 3 done, 5 to do" in again.out
    report = project.folder / "reports" / "smoke"
    trainers = Counter(row["trainer"] for row in table(report / "rates" / "runs.csv"))
    assert trainers == {"imported": 3, "command": 5}
    page = (report / "rates.html").read_text(encoding="utf-8")
    assert "3 of 8 runs were imported from theirs.csv, 3 rows, sha256 " in page
    assert "were not fixed beforehand" in page
