"""A nuisance factor from the command line to the report: tuned once, then part of every run."""

from __future__ import annotations

import copy
import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow import MlflowClient

from tests.cli.lab import (
    ONE_WORKER,
    STUDY,
    Call,
    Lab,
    Outcome,
    refused,
    store_of_an_older_schema,
    study_with,
)

TUNED: dict[str, Any] = {
    "title": "Width, each with its own rate",
    "question": "Is a wider network better, if each has the rate that suits it?",
    "source": "a test",
    "metric": "test_accuracy",
    "baseline": {"width": "small"},
    "run": {
        "model": {"family": "mlp"},
        "data": {"name": "digits", "train_size": 100},
        "optimizer": {"name": "adam"},
        "training": {"epochs": 4, "batch_size": 20},
    },
    "factors": {
        "width": {"levels": {"small": {"model.widths": [4]}, "large": {"model.widths": [16]}}},
        "rate": {
            "role": "nuisance",
            "label": "learning rate",
            "key": "optimizer.learning_rate",
            "levels": [1e-9, 0.02],
        },
    },
    "profiles": {"smoke": {"replicates": 2, "tuning": {"trials": 5, "replicates": 1}}},
}


def call_with(forked_call: Call, folder: Path, other: dict[str, Any], *arguments: str) -> Outcome:
    """Make a call for the study that is tuned and another one behind it."""
    (folder / "conf" / "study").mkdir(parents=True)
    for name, study in {"tuned": TUNED, "other": other}.items():
        text = yaml.safe_dump({name: study}, sort_keys=False)
        (folder / "conf" / "study" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return forked_call(folder, "run", "profile=smoke", "study=[tuned,other]", *arguments)


@pytest.mark.parametrize(
    ("factor", "line"),
    [
        ({}, "study/other.yaml: width=small: model.activation: unknown name 'rleu'; nearest: 're"),
        (
            {"role": "nuisance", "key": "model.activation", "levels": ["relu", "rleu"]},
            "study/other.yaml: width=small; rate=0.02, act=rleu: model.activation: unkno",
        ),
    ],
)
def test_a_misspelt_name_of_any_study_is_found_before_anything_is_tuned(
    forked_call: Call, tmp_path: Path, factor: dict[str, Any], line: str
) -> None:
    if factor:
        other = copy.deepcopy(TUNED)
        other["factors"]["act"] = factor
    else:
        other = study_with("run.model.activation", "rleu")
    assert line in refused(call_with(forked_call, tmp_path, other), tmp_path)


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        ("tracking.uri=sqlite:///old.db", "its schema is not the one of this MLflow"),
        ("reports=old.db", "reports old.db: cannot be written: old.db is no folder that can be "),
    ],
)
def test_a_place_that_cannot_be_written_is_found_before_anything_is_tuned(
    forked_call: Call, tmp_path: Path, argument: str, line: str
) -> None:
    store_of_an_older_schema(tmp_path / "old.db")
    assert line in refused(call_with(forked_call, tmp_path, STUDY, argument), tmp_path)


@pytest.mark.parametrize(
    ("place", "setting", "line"),
    [
        (
            "run",
            {"optimizer": {"name": "adam", "learning_rate": 0.5}},
            "run: optimizer.learning_rate",
        ),
        (
            "profiles.smoke",
            {"overrides": {"optimizer.learning_rate": 0.5}},
            "profiles.smoke.overrides: optimizer.learning_rate",
        ),
        (
            "profiles.smoke",
            {
                "adjustments": [
                    {"where": {"width": "small"}, "overrides": {"optimizer.learning_rate": 0.5}}
                ]
            },
            "profiles.smoke.adjustments: optimizer.learning_rate",
        ),
    ],
)
def test_a_setting_that_a_nuisance_factor_undoes_is_refused(
    forked_call: Call, tmp_path: Path, place: str, setting: dict[str, Any], line: str
) -> None:
    other = copy.deepcopy(TUNED)
    section = other
    for name in place.split("."):
        section = section[name]
    section |= setting
    said = refused(call_with(forked_call, tmp_path, other), tmp_path)
    assert f"study/other.yaml: {line}: nuisance factor 'rate' sets it in every run" in said


@pytest.mark.slow
def test_a_setting_that_would_be_ignored_is_found_before_anything_is_tuned(lab: Lab) -> None:
    lab.declare("tuned", TUNED)
    lab.declare("other", study_with("run.optimizer.epsilon", 0.1))
    call = lab.call("study=[tuned,other]", ONE_WORKER, "tracking.queue=sqlite:///own.db")
    assert call.status == 2
    assert call.err.startswith("error: study/other.yaml, line ")
    assert "epsilon" in call.err
    assert "tuning" not in call.out
    assert not (lab.folder / "own.db").exists()


@pytest.mark.slow
def test_a_study_with_a_nuisance_factor(lab: Lab) -> None:
    lab.declare("tuned", TUNED)
    planned = lab.plan("study=tuned", ONE_WORKER)
    said = "tuned: tuning rate, cells: 2, trials of each: 5, replicates of a trial: 1"
    assert planned.out.splitlines()[2] == f"  {said}"
    later = lab.call("study=tuned", ONE_WORKER, "now.minutes=0")
    assert said in later.out
    assert "0 to do" in later.out
    assert "4 left for later" in later.out
    assert lab.runs("tuned") == []
    half = lab.call("study=tuned", ONE_WORKER, "now.where.width=[small]")
    assert (half.status, half.err) == (0, "")
    assert said.replace("cells: 2", "cells: 1") in half.out
    assert {run.cell for run in lab.runs("tuned")} == {"width=small"}
    first = lab.call("study=tuned", ONE_WORKER)
    assert (first.status, first.err) == (0, "")
    assert said.replace("cells: 2", "cells: 1") in first.out
    again = lab.call("study=tuned", ONE_WORKER)
    assert "nothing to do" in again.out
    assert "tuning" not in again.out
    store = MlflowClient(lab.uri)
    for stored in lab.runs("tuned"):
        tags = store.get_run(stored.run_id).data.tags
        assert json.loads(tags["ablation.tuned"]) == {
            "chosen": {"rate": "0.02"}, "trials": 5, "replicates": 1,
        }  # fmt: skip
        assert json.loads(tags["ablation.config"])["optimizer"]["learning_rate"] == 0.02
    folder = lab.folder / "reports" / "smoke" / "tuned"
    with (folder / "runs.csv").open(encoding="utf-8") as file:
        assert {row["rate"] for row in csv.DictReader(file)} == {"0.02"}
    for table in ("main", "cells", "comparisons"):
        text = (folder / f"table_{table}.md").read_text(encoding="utf-8")
        assert (
            "5 trials of 1 replicate that no table reports: learning rate 0.02 in 2 cells" in text
        )
