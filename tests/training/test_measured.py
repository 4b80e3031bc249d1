"""A metric that nothing measures is refused before the first step, with the reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.training.execute import execute
from ablation_lab.training.scoring import OWN_NAMES
from ablation_lab.training.validate import validate_stack
from tests.training.stacks import DIGITS, MakeRun

XOR: dict[str, Any] = {}
AUTO = {
    "model": {"family": "autoencoder"},
    "data": {"name": "digits"},
    "training": {"steps": 2, "batch_size": 4},
}


def said(run: Run, metric: str) -> str:
    return validate_stack(
        Stack((replace(run, metrics=("train_loss", metric)),), TrainerName.SINGLE, "a test")
    )


@pytest.mark.parametrize(
    ("settings", "metric", "reason"),
    [
        (XOR, "test_accuracy", "as data 'xor' has no test part beside its training set"),
        (DIGITS, "train_accuracy", "as data 'digits' has a test part of its own, which alone is"),
        (DIGITS, "success", "as data 'digits' has a test part of its own, which alone is scored"),
        (DIGITS, "test_loss", "as family 'mlp' is trained for classification"),
        (DIGITS, "first_exact_step", "as family 'mlp' is trained for classification"),
        (AUTO, "test_accuracy", "as family 'autoencoder' is trained for reconstruction"),
    ],
)
def test_what_nothing_measures_is_refused(
    make_run: MakeRun, settings: dict[str, Any], metric: str, reason: str
) -> None:
    line = said(make_run(**settings), metric)
    assert line.startswith(f"study/small.yaml: c: metric {metric!r}: nothing measures it, {reason}")
    assert "; measured here: train_loss, " in line


@pytest.mark.parametrize("settings", [XOR, DIGITS, AUTO])
def test_what_is_refused_is_what_a_run_lacks(make_run: MakeRun, settings: dict[str, Any]) -> None:
    run = make_run(**{**settings, "training": {"steps": 2, "batch_size": 4}})
    (record,) = execute(Stack((run,), TrainerName.SINGLE, "a test"))
    measured = {name for name in OWN_NAMES if not said(run, name)}
    assert measured - {"prediction", "first_exact_step"} == set(record.metrics) & OWN_NAMES
