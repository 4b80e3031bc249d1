"""`ablation import` as it is typed: from an empty folder to a report, or to one line."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import optuna
import pytest

from ablation_lab.store.client import Store
from ablation_lab.store.tags import Tag
from ablation_lab.store.writers import close
from tests.cli.lab import Outcome, clean_environment, ended, refused

NAMES = ("--factors", "lr,keep_prob", "--replicate", "seed", "--metric", "acc")
BASELINE = ("--baseline", "lr=0.1,keep_prob=1")


def results(path: Path, *, seeds: int = 6) -> Path:
    """Write somebody's results: the smaller learning rate is better by two points."""
    draws = np.random.default_rng(0)
    lines = ["lr,keep_prob,seed,acc"] + [
        f"{lr},{keep},{seed},{0.9 + 0.02 * (lr == 0.01) + draws.normal(0, 0.002):.4f}"
        for lr in (0.1, 0.01)
        for keep in (1.0, 0.5)
        for seed in range(seeds)
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def call(folder: Path, *words: str) -> Outcome:
    return ended(
        subprocess.Popen(
            [sys.executable, "-m", "ablation_lab", "import", *words],
            cwd=folder,
            env=clean_environment(folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    )


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_csv_becomes_a_report_in_an_empty_folder(tmp_path: Path) -> None:
    results(tmp_path / "results.csv")
    for _ in range(2):  # the second call doubles nothing
        outcome = call(tmp_path, "results.csv", *NAMES, *BASELINE)
        assert outcome.status == 0, outcome
        assert "4 cells of 6 runs, paired by replicate; acc: more is better" in outcome.out
        report = tmp_path / "reports" / "imported"
        runs = table(report / "results" / "runs.csv")
        assert len(runs) == 24
        assert {row["trainer"] for row in runs} == {"imported"}
        assert [row["run_id"] for row in runs[:2]] == ["row 2", "row 3"]
        verdicts = [row["verdict"] for row in table(report / "results" / "comparisons.csv")]
        assert verdicts.count("better") == 2
    page = (report / "results.html").read_text(encoding="utf-8")
    assert "Runs were imported from results.csv, 24 rows, sha256 " in page
    assert "ablation import results.csv --factors lr,keep_prob" in page
    assert "fixed beforehand" not in page
    assert (
        "127.0.0.1:5000/mlflow/#/experiments" in page
    )  # the cells in MLflow; no run has a page there
    assert "row 2, row 3" in page
    assert "no run was started" not in page


def test_the_store_has_its_cells_and_knows_the_file(tmp_path: Path) -> None:
    results(tmp_path / "results.csv", seeds=2)
    assert call(tmp_path, "results.csv", *NAMES).status == 0
    store = Store(f"sqlite:///{tmp_path}/runs/mlflow.db")
    runs = list(store.search("results"))
    marked = [run for run in runs if Tag.IMPORTED in run.data.tags]
    assert len(marked) == 1
    assert marked[0].data.tags[Tag.IMPORTED].startswith("results.csv, 8 rows, sha256 ")
    cells = {run.info.run_name: run.data.metrics["acc"] for run in runs if run.data.params}
    assert cells["0.01 · 0.5"] == pytest.approx(0.92, abs=0.01)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.csv", *NAMES], "none.csv: cannot be read"),
        (["results.csv", "--factors", "lr", "--metric", "accc"], "no column 'accc'"),
        (["results.csv", "--factors", "lr", "--replicate", "seed", "--metric", "acc"],
         "row 2 and row 8 are both lr=0.1, seed=0"),
        (["results.csv", *NAMES, "--baseline", "lr"], "--baseline: expected NAME=VALUE"),
        (["results.csv", *NAMES, "profile=quick"], "expected one of tracking.uri"),
        (["results.csv", *NAMES, "--maximize", "--minimize"], "not allowed with argument"),
        (["results.csv", *NAMES, "--study", "a/b"], "--study: expected the name of a file"),
        (["mlflow:mine", *NAMES], "no file 'mlflow.db'"),
        ([], "expected FILE.csv"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(
    tmp_path: Path, words: list[str], said: str
) -> None:
    results(tmp_path / "results.csv")
    assert said in refused(call(tmp_path, *words), tmp_path)


def test_an_mlflow_experiment_is_read_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    uri = f"sqlite:///{path}"
    client = mlflow.MlflowClient(uri)
    experiment = client.create_experiment("sweep")
    parent = client.create_run(experiment).info.run_id
    for lr in (0.1, 0.01):
        for seed in range(3):
            tags = {"mlflow.parentRunId": parent}
            run = client.create_run(experiment, tags=tags).info.run_id
            client.log_param(run, "lr", lr)
            client.log_param(run, "seed", seed)
            for step in (1, 2):
                client.log_metric(run, "val_acc", lr + 0.1 * step, step=step)
            client.set_terminated(run)
    close(client)
    before = path.read_bytes()
    outcome = call(
        tmp_path, "mlflow:sweep", "--store", uri, "--factors", "lr", "--replicate", "seed",
        "--metric", "val_acc",
    )  # fmt: skip
    assert outcome.status == 0, outcome
    assert path.read_bytes() == before
    runs = table(tmp_path / "reports" / "imported" / "sweep" / "runs.csv")
    assert {(row["lr"], row["replicate"]) for row in runs} == {
        (lr, seed) for lr in ("0.1", "0.01") for seed in "012"
    }
    assert {row["val_acc"] for row in runs if row["lr"] == "0.1"} == {"0.30000000000000004"}
    assert (tmp_path / "reports" / "imported" / "sweep" / "figure_training.svg").exists()


def test_an_optuna_study_is_a_table_of_trials(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/optuna.db"
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(study_name="tune", storage=uri)
    study.enqueue_trial({"lr": 0.1})
    study.enqueue_trial({"lr": 0.01})
    study.optimize(lambda trial: trial.suggest_float("lr", 0.001, 1) ** 2, n_trials=2)
    outcome = call(tmp_path, "optuna:tune", "--factors", "lr", "--metric", "value:minimize")
    assert outcome.status == 0, outcome
    runs = table(tmp_path / "reports" / "imported" / "tune" / "runs.csv")
    assert {row["run_id"]: row["lr"] for row in runs} == {"trial 0": "0.1", "trial 1": "0.01"}
