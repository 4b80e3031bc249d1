"""What runs answer at points: the weights of linear ones, and what a stack answers beside solo."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ablation_lab.data import DATASETS, load
from ablation_lab.errors import ConfigurationError
from ablation_lab.study.key import run_key
from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.study.settings import resolve
from ablation_lab.training import single
from ablation_lab.training.execute import execute
from ablation_lab.training.plan import plan
from ablation_lab.training.scoring import answers
from ablation_lab.training.validate import validate_stack

UNIT: dict[str, Any] = {"family": "linear", "init": "normal", "bias_init": "normal"}


def run(data: str, ask: list[list[float]] | None, *, replicate: int = 0) -> Run:
    training = {"epochs": None, "steps": 50, "batch_size": None, "loss": "stable", "l2": 0.0}
    config = {
        "model": UNIT,
        "data": {"name": data, "train_size": None},
        "optimizer": {"name": "sgd", "learning_rate": 0.1},
        "training": training | ({"predict_at": ask} if ask else {}),
    }
    return Run("study", "quick", "cell", replicate, f"key{replicate}", 7, config, {})


def test_unit_points_give_the_weights_of_a_linear_unit() -> None:
    asked = run("points6", [[0, 0], [1, 0], [0, 1]])
    dataset = DATASETS.get("points6")
    module = single.build_module(asked, dataset)
    trained = single.train(asked, load("points6")[0], dataset)
    found = answers(trained, asked.config["training"]["predict_at"], dataset.shape)
    weights = trained.predict(np.eye(2, dtype=np.float32)) - trained.predict(
        np.zeros((1, 2), np.float32)
    )
    assert found["answer_2"] - found["answer_1"] == pytest.approx(float(weights[0, 0]), abs=1e-6)
    assert found["answer_3"] - found["answer_1"] == pytest.approx(float(weights[1, 0]), abs=1e-6)
    assert sum(value.numel() for value in module.parameters()) == 3


def test_classes_answer_with_probabilities() -> None:
    (record,) = execute(plan([run("points8", [[1, 11, 7, 9]])], data_root=None, plugins=())[0])
    shares = [record.metrics[f"answer_1_class_{name}"] for name in range(3)]
    assert sum(shares) == pytest.approx(1)
    assert "answer_1" not in record.metrics


def test_a_stack_answers_as_its_runs_do() -> None:
    runs = [run("points6", [[2, 3]], replicate=r) for r in range(3)]
    (stack,) = plan(runs, data_root=None, plugins=())
    assert stack.trainer is TrainerName.STACKED
    together = [record.metrics["answer_1"] for record in execute(stack)]
    alone = [
        execute(Stack((one,), TrainerName.SINGLE, "alone"))[0].metrics["answer_1"] for one in runs
    ]
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)
    assert len(set(alone)) == 3


def test_a_point_of_another_size_is_refused_before_anything_trains() -> None:
    said = validate_stack(Stack((run("points6", [[1, 2, 3]]),), TrainerName.SINGLE, ""))
    assert "study/study.yaml: cell: training.predict_at: expected points of 2 numbers" in said


def test_a_family_without_answers_is_refused_before_anything_trains() -> None:
    model = {"family": "autoencoder", "widths": [3], "init": "xavier_uniform", "bias_init": "zeros"}
    asking = run("points6", [[1, 2]])
    stack = Stack(
        (replace(asking, config={**asking.config, "model": model}),), TrainerName.SINGLE, ""
    )
    assert "family 'autoencoder' has no answer at a point" in validate_stack(stack)


@pytest.mark.parametrize("ask", [[], [1], [[]], [["a"]], "all"])
def test_what_is_no_list_of_points_is_refused(ask: Any) -> None:
    asking = run("points6", None).config
    with pytest.raises(ConfigurationError, match=r"training\.predict_at.*: expected"):
        resolve(asking, [{"training.predict_at": ask}], "study/s.yaml: cell")


def test_the_question_is_part_of_the_key_and_the_answering_code_too() -> None:
    keys = {run_key(run("points6", ask).config, 0, 0) for ask in (None, [[1, 2]], [[2, 1]])}
    assert len(keys) == 3
