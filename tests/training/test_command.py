"""A command as a run: what it is given, what comes back, and what makes two of them the same."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ablation_lab.study import command
from ablation_lab.study.declare import declare
from ablation_lab.study.record import Status
from ablation_lab.study.schema import parse_study
from ablation_lab.training.execute import execute
from ablation_lab.training.plan import plan
from tests.training.scripts import GOOD, STUDY, Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_values_of_a_command_are_those_of_its_run(project: Project) -> None:
    project.script(GOOD)
    record = project.record()
    assert (record.status, record.error) == (Status.FINISHED, "")
    assert record.metrics == {"acc": 0.1}
    assert record.reason == "a process of its own; code: train.py (every Python file)"


def test_what_the_lab_gives_reaches_the_process(project: Project) -> None:
    project.script(
        """
        params = json.loads(Path(sys.argv[3]).read_text())
        assert params["lr"] == 0.1 and params["seed"] == int(sys.argv[4]) < 2**31
        assert params["out"] == sys.argv[2] and Path(sys.argv[2]).is_dir()
        assert params["replicate"] == 0 and params["device"] == "cpu"
        assert (os.environ["RATE"], sys.argv[5]) == ("rate 0.1", "${HOME} stays")
        assert Path.cwd().name == "below"
        Path(sys.argv[2], "metrics.json").write_text('{"acc": 1}')
        """
    )
    (project.folder / "below").mkdir()
    command = ["python", "../train.py", "${lr}", "${out}", "${params}", "${seed}", "$${HOME} stays"]
    record = project.record(command=command, environment={"RATE": "rate ${lr}"}, folder="below")
    assert record.error == ""
    assert record.metrics == {"acc": 1.0}


def test_replicates_have_seeds_of_their_own_and_cells_share_them(project: Project) -> None:
    project.script(
        'Path(sys.argv[2], "metrics.json").write_text(json.dumps({"acc": int(sys.argv[1])}))'
    )
    study = {
        **STUDY,
        "run": {"command": ["python", "train.py", "${seed}", "${out}", "${lr}"]},
        "factors": {"lr": [0.1, 0.2]},
        "profiles": {"smoke": {"replicates": 2}},
    }
    path = project.folder / "conf" / "study" / "s.yaml"
    runs = declare(parse_study("s", study).model_copy(update={"path": path}), "smoke").runs
    stacks = plan(runs, data_root=None, plugins=(), project=project.folder)
    records = [record for stack in stacks for record in execute(stack)]
    seeds = {(r.run.cell, r.run.replicate): r.metrics["acc"] for r in records}
    assert seeds["lr=0.1", 0] == seeds["lr=0.2", 0] != seeds["lr=0.1", 1]


@pytest.mark.parametrize(
    ("files", "metrics", "curves"),
    [
        (
            {"metrics__jsonl": '{"name": "acc", "value": 0.5, "step": 1}\n{"acc": 0.7, "step": 2}'},
            {},
            {"acc": ((1, 0.5), (2, 0.7))},
        ),
        ({"metrics__json": '{"acc": [0.2, 0.4], "n": 3, "who": "me"}'}, {"n": 3.0},
         {"acc": ((1, 0.2), (2, 0.4))}),
        ({"metrics__csv": "name,value,step\nacc,0.5,\nloss,2,1\nloss,1,2\n"}, {"acc": 0.5},
         {"loss": ((1, 2.0), (2, 1.0))}),
        ({"metrics__csv": "epoch,loss,acc\n1,2,\n1,,0.5\n2,1,0.6\n"}, {},
         {"loss": ((1, 2.0), (2, 1.0)), "acc": ((1, 0.5), (2, 0.6))}),
        # What comes first counts, and nothing counts twice.
        ({"metrics__jsonl": '{"acc": 0.5}', "metrics__json": '{"acc": 0.9, "f1": 0.8}'},
         {"acc": 0.5, "f1": 0.8}, {}),
        # A last value after a curve is its end; what is a factor, or the lab's own, is no metric.
        ({"metrics__jsonl": '{"acc": 1, "step": 3}\n{"acc": 2}\n{"lr": 9, "seconds": 9}'}, {},
         {"acc": ((3, 1.0), (4, 2.0))}),
    ],
)  # fmt: skip
def test_values_are_read_from_the_files_that_it_writes(
    project: Project, files: dict[str, str], metrics: dict[str, float], curves: dict[str, Any]
) -> None:
    record = project.leaves(**files)
    assert record.error == ""
    assert (record.metrics, record.curves) == (metrics, curves)


def test_values_are_read_from_its_output(project: Project) -> None:
    project.script('print("epoch 1 acc=0.5\\repoch 2 acc=0.75, val loss: 3e-1")')
    patterns = ["acc=(?P<acc>[0-9.]+)", r"(?P<name>\w+ loss): (?P<value>\S+)"]
    record = project.record(pattern=patterns)
    assert record.curves == {"acc": ((1, 0.5), (2, 0.75)), "val loss": ((1, 0.3),)}


def test_a_long_curve_keeps_its_end(project: Project) -> None:
    project.script(
        """
        with Path(sys.argv[2], "metrics.jsonl").open("w") as file:
            for step in range(5_000):
                print(json.dumps({"step": step, "acc": step / 2}), file=file)
        """
    )
    points = project.record().curves["acc"]
    assert len(points) == 200
    assert (points[0], points[-1]) == ((0, 0.0), (4999, 2499.5))


def test_a_folder_that_a_run_before_left_is_made_anew(project: Project) -> None:
    stack = project.stack()
    left = project.folder / "runs" / "work" / stack.runs[0].key / "out"
    left.mkdir(parents=True)
    (left / "metrics.jsonl").write_text('{"acc": 9}')
    project.script(GOOD)
    stack = project.stack()
    assert execute(stack)[0].metrics == {"acc": 0.1}


def key(project: Project, **run: object) -> str:
    command._code.cache_clear()
    return project.runs(**run)[0].key


def test_a_key_is_command_values_and_code(project: Project) -> None:
    project.script("")
    (project.folder / "notes.txt").write_text("1")
    first = key(project)
    assert key(project, limits={"minutes": 5}) == first
    assert key(project, params={"lr": 5}) == first  # the factor's level counts
    others = {
        key(project, command=["python", "train.py", "${lr}", "${out}", "-v"]),
        key(project, environment={"A": 1}),
        key(project, pattern="(?P<acc>.)"),
        key(project, code=["train.py", "notes.txt"]),
    }
    assert len(others | {first}) == 5
    project.script("# another")
    assert key(project) not in {first, *others}
    (project.folder / "src" / "deep").mkdir(parents=True)
    second = key(project)
    project.script("", "src/deep/model.py")
    assert key(project) != second
    (project.folder / "notes.txt").write_text("2")
    assert key(project, code="*.txt") not in others


def test_only_what_git_tracks_counts_in_a_repository(project: Project) -> None:
    project.script("")
    os.system(f"cd {project.folder} && git init -q . && git add train.py")
    first = key(project)
    project.script("", "scratch.py")
    assert key(project) == first
    assert project.stack().reason.endswith("code: train.py (every Python file of git)")


def test_a_worker_needs_no_torch_for_a_command(project: Project) -> None:
    project.script(GOOD)
    code = (
        "import pickle, sys; from ablation_lab.engines.worker import prepare; prepare(1); "
        "from ablation_lab.training.execute import execute; "
        "execute(pickle.loads(sys.stdin.buffer.read())); "
        "print([m for m in ('torch', 'pytorch_lightning', 'mlflow', 'pandas') if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps(project.stack()),
        capture_output=True,
        check=True,
    )
    assert answer.stdout.decode().strip() == "[]"
