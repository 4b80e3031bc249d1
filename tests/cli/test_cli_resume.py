"""Nothing is done twice: a finished study, a study with holes, a plan, one's own parts."""

from __future__ import annotations

import csv
import shutil
from itertools import product
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.cli.lab import ALL, ONE_WORKER, Finished, Lab, Outcome

WIDTH = [f"width={w},activation={a}" for w, a in product((2, 10), ("sigmoid", "relu"))]
MINE = [f"init={i},width={w}" for i, w in product(("xavier_uniform", "wide"), (2, 16))]
DECLARED = {
    "width": set(product(WIDTH, range(2))),
    "my_study": set(product(MINE, range(2))),
    "gain": {*product(["size=1"], range(4)), *product(["size=2"], range(2))},
}


def delete(lab: Lab, study: str, cell: str, replicate: int) -> str:
    """Delete one run as a user does; return its id."""
    (run,) = [run for run in lab.runs(study) if run.name == (cell, replicate)]
    MlflowClient(lab.uri).delete_run(run.run_id)
    return run.run_id


def test_first_call_trains_every_declared_run_once(finished: Finished) -> None:
    assert finished.first.status == 0, finished.first.err
    for study, names in DECLARED.items():
        runs = finished.lab.runs(study)
        assert sorted(run.name for run in runs) == sorted(names)
        assert {run.status for run in runs} == {"FINISHED"}


def test_terminal_shows_the_labs_own_lines_only(finished: Finished) -> None:
    assert finished.first.err == ""
    first, *others = finished.first.out.splitlines()
    assert first == ("3 studies, 10 cells, 22 runs: 0 done, 22 to do (under a minute on 1 worker)")
    assert others[-1] == "report: reports/smoke/index.html"
    assert {path.name for path in finished.lab.folder.iterdir()} >= {"runs", "reports"}
    assert not list(finished.lab.folder.glob("*.log"))


@pytest.mark.parametrize("study", sorted(DECLARED))
def test_report_has_every_declared_run(finished: Finished, study: str) -> None:
    file = finished.lab.folder / "reports" / "smoke" / study / "runs.csv"
    with file.open(encoding="utf-8") as rows:
        found = [(row["cell"], int(row["replicate"])) for row in csv.DictReader(rows)]
    assert sorted(found) == sorted(DECLARED[study])


def test_second_call_does_nothing(finished: Finished) -> None:
    before = {study: finished.lab.runs(study) for study in DECLARED}
    page = finished.lab.folder / "reports" / "smoke" / "index.html"
    written = page.stat().st_mtime_ns
    again = finished.lab.call(*ALL)
    assert again == Outcome(
        status=0,
        out="3 studies, 10 cells, 22 runs: 22 done, nothing to do\n"
        "report: reports/smoke/index.html\n",
        err="",
    )
    assert {study: finished.lab.runs(study) for study in DECLARED} == before
    assert page.stat().st_mtime_ns == written


def test_call_with_nothing_to_do_imports_no_torch_and_no_mlflow(
    finished: Finished, tmp_path: Path
) -> None:
    # A project without the plug-in, which imports torch by itself.
    (tmp_path / "conf" / "study").mkdir(parents=True)
    for name in ("width", "gain"):
        shutil.copy(
            finished.lab.folder / "conf" / "study" / f"{name}.yaml", tmp_path / "conf/study"
        )
    again = finished.lab.call(
        f"--project={tmp_path}",
        f"tracking.uri={finished.lab.uri}",
        "reports=null",
        PYTHONPROFILEIMPORTTIME="1",
    )
    imported = {line.rpartition("|")[2].strip() for line in again.err.splitlines()}
    assert again.status == 0
    assert "ablation_lab.runner.session" in imported
    assert not imported & {"torch", "mlflow", "optuna", "pandas", "pytorch_lightning"}


def test_only_missing_runs_that_are_wanted_now_are_trained(lab: Lab) -> None:
    before = {run.run_id for study in DECLARED for run in lab.runs(study)}
    gone = {
        delete(lab, "width", WIDTH[0], 0),
        delete(lab, "width", WIDTH[0], 1),
        delete(lab, "gain", "size=1", 0),
    }
    again = lab.call(
        "study=[width,gain]", "now.replicates=1", "now.where.width=2", "reports=null", ONE_WORKER
    )
    after = {run.run_id: run for study in DECLARED for run in lab.runs(study)}
    assert again.status == 0, again.err
    assert "14 runs: 11 done, 2 to do (under a minute on 1 worker), 1 left for later" in again.out
    assert set(after) >= before - gone
    new = sorted(after[run].name for run in set(after) - before)
    # The ensembles are there already: their member alone is trained again.
    assert new == [("size=1", 0), (WIDTH[0], 0)]


def test_a_plan_says_what_is_missing_and_why_so_and_starts_nothing(lab: Lab) -> None:
    delete(lab, "width", WIDTH[0], 1)
    before = lab.runs("width")
    plan = lab.plan("study=width")
    assert plan.status == 0, plan.err
    assert "4 cells, 8 runs: 7 done, 1 to do" in plan.out
    assert "width: 4 cells, 8 runs, 7 done, 1 to do: under a minute on " in plan.out
    assert "  1 × stacked, 1 run each: small, full batch, plain descent: up to " in plan.out
    assert lab.runs("width") == before
    assert not (lab.folder / "reports").exists()
