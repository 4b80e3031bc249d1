"""What is measured by task, and that it is what the training side measures on validation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ablation_lab.data import Part
from ablation_lab.training.scoring import energy_distance, first_exact_step, score
from lightning_modules.losses import MEASURES
from lightning_modules.task import Task, task_of

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(40, 3)).astype(np.float32)
CASES = {
    Task.CLASSIFICATION: (DRAW.normal(size=(40, 4)), DRAW.integers(0, 4, 40)),
    Task.SEQUENCE: (DRAW.normal(size=(40, 5, 4)), DRAW.integers(0, 4, (40, 5))),
    Task.REGRESSION: (DRAW.normal(size=(40, 2)), DRAW.normal(size=(40, 2)).astype(np.float32)),
    Task.RECONSTRUCTION: (DRAW.normal(size=(40, 3)), np.zeros(40, np.int64)),
    Task.GENERATION: (DRAW.normal(size=(40, 3)), np.zeros(40, np.int64)),
}


@pytest.mark.parametrize("task", MEASURES)
def test_the_test_part_is_measured_like_the_validation_part(task: Task) -> None:
    outputs, y = CASES[task][0].astype(np.float32), CASES[task][1]
    found = score(task, outputs, Part(X, y), test_is_train=False)
    name, measure = MEASURES[task]
    expected = float(measure(*(torch.from_numpy(value) for value in (outputs, X, y))))
    # Float32 against double precision.
    assert found.metrics[name.replace("val_", "test_")] == pytest.approx(expected, rel=1e-4)
    assert (found.accuracy is None) == ("accuracy" not in name)


def test_nothing_is_measured_of_a_task_of_ones_own() -> None:
    assert set(Task) == {*MEASURES, Task.OWN}
    found = score(Task.OWN, X, Part(X, np.zeros(40, np.int64)), test_is_train=False)
    assert (found.metrics, found.accuracy) == ({}, None)


def test_a_number_on_the_training_set_says_so() -> None:
    for task, names in {Task.REGRESSION: {"train_fit"}, Task.SEQUENCE: {"train_accuracy"}}.items():
        outputs, y = CASES[task][0].astype(np.float32), CASES[task][1]
        assert set(score(task, outputs, Part(X, y), test_is_train=True).metrics) == names


def test_the_answer_to_a_single_question_is_kept() -> None:
    part = Part(X[:1], np.full((1, 1), 40.0, np.float32))
    found = score(Task.REGRESSION, np.full((1, 1), 39.5, np.float32), part, test_is_train=False)
    assert found.metrics == {"test_loss": 0.25, "prediction": 39.5}


def test_the_energy_distance_is_zero_for_equals_and_grows_with_the_gap() -> None:
    a = DRAW.normal(size=(200, 5)).astype(np.float32)
    assert energy_distance(a, a) == pytest.approx(0, abs=1e-6)  # square roots of rounded zeros
    near, far = energy_distance(a, a + 0.5), energy_distance(a, a + 2)
    assert 0 < near < far
    # For two points it is 2 |a - b|.
    assert energy_distance(np.zeros((1, 1)), np.full((1, 1), 3.0)) == pytest.approx(6.0)


def test_the_first_exact_step_counts_from_zero() -> None:
    assert first_exact_step(((1, 0.5), (9, 1.0), (10, 0.9), (11, 1.0))) == 8.0
    assert first_exact_step(((1, 0.5),)) is None


def test_a_module_without_a_task_classifies() -> None:
    assert task_of(object()) is Task.CLASSIFICATION
    with pytest.raises(ValueError, match="guessing"):
        task_of(type("Module", (), {"task": "guessing"})())
