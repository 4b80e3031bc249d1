"""Stacks of modules that do not classify are their runs, and leave the same records."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ablation_lab.study.declare import declare
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.study.schema import parse_study
from ablation_lab.study.stacking import why_alone
from ablation_lab.training.execute import execute
from ablation_lab.training.minibatch import MiniBatch
from ablation_lab.training.plan import plan
from lightning_modules.task import Task
from tests.conftest import CONF
from tests.training.stacks import (
    DIGITS,
    MakeRun,
    compare,
    train_single,
    train_stack,
)

ADAM = {"name": "adam_tf", "learning_rate": 0.05}
LINE: dict[str, Any] = {
    "model": {"family": "linear_regression", "init": "normal", "bias_init": "normal"},
    "data": {"name": "line2"},
    "optimizer": {"name": "sgd", "learning_rate": 0.01},
    "training": {"steps": 40},
}
TEXT: dict[str, Any] = {
    "model": {"family": "char_rnn"},
    "data": {"name": "hihello"},
    "optimizer": ADAM,
    "training": {"epochs": 20},
}
RAMP: dict[str, Any] = {
    "model": {"family": "lstm"},
    "data": {"name": "ramp"},
    "optimizer": ADAM,
    "training": {"epochs": 6, "batch_size": 32},
}

CODE: dict[str, Any] = {
    **DIGITS,
    "model": {"family": "autoencoder", "widths": [6, 3]},
    "model__widths": [6, 3],
}

INITS = ("normal", "zeros", "normal_001")


@pytest.mark.parametrize(
    ("settings", "task"),
    [
        (LINE, Task.REGRESSION),
        ({**LINE, "data": {"name": "ramp"}, "training": {"epochs": 5, "batch_size": 16}}, None),
        ({**LINE, "optimizer": ADAM, "training__l2": 0.01, "training__lr_milestones": [9]}, None),
        (TEXT, Task.SEQUENCE),
        ({**TEXT, "data": {"name": "name_text"}, "model__width": 4, "training__l2": 0.001}, None),
        (RAMP, Task.REGRESSION),
        ({**RAMP, "training": {"steps": 9}, "model__recurrent_init": "normal"}, None),
        ({**RAMP, "optimizer__learning_rate": 0.5, "training__patience": 1}, None),
        ({**CODE, "training__l2": 0.01, "training__patience": 2}, Task.RECONSTRUCTION),
    ],
    ids=[
        *("line", "line on batches", "line with L2 and falls", "text", "text with L2"),
        *("ramp on batches", "ramp", "ramp with patience", "code"),
    ],
)
def test_a_stack_of_a_task_is_its_runs(
    monkeypatch: pytest.MonkeyPatch, make_run: MakeRun, settings: dict[str, Any], task: Task | None
) -> None:
    runs = [make_run(replicate=n, **settings) for n in range(2)]
    assert not any(why_alone(run.config) for run in runs)
    together = compare(monkeypatch, runs, program=MiniBatch)
    assert task in (None, together[0].task)


@pytest.mark.parametrize(
    "optimizer",
    ["adam_tf", "rmsprop_tf", "ftrl", "adagrad_da", "proximal_gd", "proximal_adagrad"],
)
def test_an_optimiser_of_tensorflow_sees_every_run_by_itself(
    monkeypatch: pytest.MonkeyPatch, make_run: MakeRun, optimizer: str
) -> None:
    settings = {**DIGITS, "optimizer": {"name": optimizer, "learning_rate": 0.05}}
    runs = [make_run(replicate=n, **settings) for n in range(2)]
    assert not any(why_alone(run.config) for run in runs)
    compare(monkeypatch, runs, program=MiniBatch)


def records(runs: list[Run], *, together: bool) -> list[Record]:
    """Return what workers make of the runs: as planned, or one by one; in the order of the runs."""
    alone = [Stack((run,), TrainerName.SINGLE, "a test") for run in runs]
    stacks = plan(runs, data_root=None, plugins=()) if together else alone
    assert {stack.trainer is TrainerName.STACKED for stack in stacks} == {together}
    found = {record.run.key: record for stack in stacks for record in execute(stack)}
    return [found[run.key] for run in runs]


@pytest.mark.parametrize("study", ["char_rnn", "toys_linear", "test_scores", "lstm_ramp", "stock"])
def test_a_study_leaves_the_same_records_in_stacks_and_alone(study: str) -> None:
    declaration = yaml.safe_load((CONF / "study" / f"{study}.yaml").read_text())[study]
    runs = list(declare(parse_study(study, declaration), "smoke").runs)
    pairs = zip(records(runs, together=True), records(runs, together=False), strict=True)
    for one, other in pairs:
        assert one.status is other.status is Status.FINISHED, one.error
        assert one.metrics == pytest.approx(other.metrics, rel=1e-3, abs=1e-6)
        assert set(one.curves) == set(other.curves)
        assert (one.steps, one.not_converged, one.not_converged_step) == (
            other.steps,
            other.not_converged,
            other.not_converged_step,
        )


def test_a_text_known_by_heart_says_since_which_step(make_run: MakeRun) -> None:
    runs = [make_run(replicate=n, **TEXT) for n in range(4)]
    together, alone = records(runs, together=True), records(runs, together=False)
    steps = [record.metrics.get("first_exact_step") for record in together]
    assert any(step is not None for step in steps)
    assert steps == [record.metrics.get("first_exact_step") for record in alone]


def test_a_regression_that_diverges_stops_where_it_would_alone(make_run: MakeRun) -> None:
    wild = {**LINE, "optimizer": {"name": "sgd", "learning_rate": 0.12}, "training": {"steps": 200}}
    runs = [make_run(replicate=n, model__init=init, **wild) for n, init in enumerate(INITS)]
    every = train_stack(runs)
    for together, run in zip(every, runs, strict=True):
        alone = train_single(run)
        assert not together.finite
        assert (together.steps, together.nonfinite_step) == (alone.steps, alone.nonfinite_step)
    assert len({trained.nonfinite_step for trained in every}) > 1
