"""A run of each task, from its configuration to its record; what a study may compare of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ablation_lab.study.declare import declaration_of, declare
from ablation_lab.study.metric import METRICS
from ablation_lab.study.record import NoConvergence, Record, Status
from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.study.schema import parse_study
from ablation_lab.training.execute import execute
from ablation_lab.training.validate import validate_stack

MakeRun = Callable[..., Run]
ADAM = {"name": "adam_tf", "learning_rate": 0.05}
SMALL = {"data": {"name": "digits", "train_size": 100}, "optimizer": ADAM}
SOFT = {"epochs": 12, "batch_size": 50}
CASES: dict[str, dict[str, Any]] = {
    "linear_regression": {"data": {"name": "line2"}, "optimizer": ADAM},
    "lstm": {"data": {"name": "ramp"}, "optimizer": ADAM},
    "char_rnn": {"data": {"name": "hihello"}, "optimizer": ADAM},
    "autoencoder": {**SMALL, "training": SOFT},
    "gan": {**SMALL, "training": SOFT},
    "rbm_mlp": {**SMALL, "training": {"epochs": 30, "batch_size": 20}},
}
SIZES = {"char_rnn": {"width": 12}, "gan": {"width": 12}, "rbm_mlp": {"widths": [32]}}
LOGGED = {
    "linear_regression": {"test_loss", "prediction"},
    "lstm": {"test_loss"},
    "char_rnn": {"train_accuracy", "success", "first_exact_step"},
    "autoencoder": {"test_loss"},
    "gan": {"test_distance"},
    "rbm_mlp": {"test_accuracy"},
}
CURVES = {
    "linear_regression": {"val_loss"},
    "lstm": {"val_loss"},
    "char_rnn": set(),
    "autoencoder": {"val_loss"},
    "gan": {"val_distance"},
    "rbm_mlp": {"val_accuracy"},
}


def trained(make_run: MakeRun, family: str, **changes: Any) -> Record:
    settings = {"training": {"epochs": 30}, **CASES[family], **changes}
    run = make_run(model={"family": family, **SIZES.get(family, {})}, **settings)
    stack = Stack((run,), TrainerName.SINGLE, "a test")
    assert validate_stack(stack) == ""
    (record,) = execute(stack)
    assert record.status is Status.FINISHED, record.error
    return record


@pytest.mark.parametrize("family", CASES)
def test_a_run_of_every_task_leaves_its_metrics_and_curves(make_run: MakeRun, family: str) -> None:
    record = trained(make_run, family)
    assert set(record.metrics) == {"parameters", *LOGGED[family]}
    assert set(record.curves) == {"train_loss", *CURVES[family]}
    losses = [loss for _, loss in record.curves["train_loss"]]
    # The generator's success raises the discriminator's loss.
    assert family == "gan" or losses[-1] < losses[0]
    assert (record.images is None) == (family != "gan")
    assert record.not_converged is NoConvergence.NONE
    again = trained(make_run, family)
    assert (again.metrics, again.curves) == (record.metrics, record.curves)


def test_generated_images_are_64_in_the_shape_of_the_data(make_run: MakeRun) -> None:
    record = trained(make_run, "gan")
    assert record.images is not None
    assert record.images.shape == (64, 1, 8, 8)


def test_a_regression_that_diverges_is_an_outcome(make_run: MakeRun) -> None:
    rate = {"name": "sgd", "learning_rate": 1e6}
    record = trained(make_run, "linear_regression", optimizer=rate)
    assert record.not_converged is NoConvergence.NON_FINITE
    assert record.not_converged_step is not None


def test_rules_reach_regressions_and_are_refused_by_the_gan(make_run: MakeRun) -> None:
    patient = {"epochs": 30, "patience": 1, "batch_size": 20}
    record = trained(
        make_run, "autoencoder", training=patient, optimizer=ADAM | {"learning_rate": 3}
    )
    assert record.steps < 30 * 5
    run = make_run(model={"family": "gan"}, **SMALL, training={**SOFT, "patience": 1})
    (refused,) = execute(Stack((run,), TrainerName.SINGLE, "a test"))
    assert "family 'gan' trains by itself" in refused.reason


@pytest.mark.parametrize("metric", METRICS.names())
def test_a_study_says_which_way_its_metric_is_better(
    metric: str, declaration: dict[str, Any]
) -> None:
    study = parse_study("small", declaration | {"metric": metric})
    described = declaration_of(declare(study, "smoke"), {})
    share = metric == "success" or metric.endswith("accuracy")
    assert described.higher_is_better is share
    assert described.chance == (0.5 if share else None)
