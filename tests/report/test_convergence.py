"""Which recorded rules of no convergence count: where an accuracy is measured, it decides."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ablation_lab.report.cautions import threats
from ablation_lab.report.study import load
from ablation_lab.store.declared import declarations
from ablation_lab.store.frame import load_frame, overruled
from tests.report.golden_store import Writer, accuracy, declaration, grid

VALUES = (0.95, 0.90, 0.11, 0.93)
FIRED = ("loss_at_chance", "loss_at_chance", "loss_at_chance", "")


def written(writer: Writer, metric: str) -> None:
    """One cell with four runs; the loss was that of guessing or above in three of them."""
    factors = {"init": ["normal"]}
    made = declaration(
        "losses", "quick", factors=factors, cells=grid(factors), replicates=4, metric=metric
    )
    writer.declare(made)
    for replicate, (value, rule) in enumerate(zip(VALUES, FIRED, strict=True)):
        metrics = {**accuracy(value), "train_loss": 1500.0, "success": float(value > 0.92)}
        writer.run(made, "init=normal", replicate, metrics=metrics, rule=rule)


def test_a_high_loss_beside_a_good_accuracy_is_no_failure(
    new_writer: Callable[[], Writer],
) -> None:
    writer = new_writer()
    written(writer, "test_accuracy")
    frame = load_frame(writer.uri, declarations(writer.uri, "quick")[0])
    assert frame["not_converged"].tolist() == ["", "", "loss_at_chance", ""]
    assert frame["not_converged_recorded"].tolist() == list(FIRED)
    assert overruled(frame) == 2
    (study,) = load(writer.uri, "quick")
    assert study.cells["estimate"].tolist() == pytest.approx([sum(VALUES) / 4])
    assert study.cells["converged_mean"].tolist() == pytest.approx([(0.95 + 0.90 + 0.93) / 3])
    assert study.cells["not_converged"].tolist() == [1]
    assert "2 of 4 finished runs ended with a training loss above" in " ".join(threats(study))


@pytest.mark.parametrize("metric", ["success", "train_loss"])
def test_a_success_and_a_loss_keep_the_rule_of_the_run(
    new_writer: Callable[[], Writer], metric: str
) -> None:
    writer = new_writer()
    written(writer, metric)
    frame = load_frame(writer.uri, declarations(writer.uri, "quick")[0])
    assert frame["not_converged"].tolist() == list(FIRED)
    assert overruled(frame) == 0


@pytest.mark.parametrize("rule", ["non_finite", "accuracy_at_chance"])
def test_the_other_rules_are_never_overruled(new_writer: Callable[[], Writer], rule: str) -> None:
    writer, factors = new_writer(), {"init": ["normal"]}
    made = declaration(
        "others", "quick", factors=factors, cells=grid(factors), replicates=1,
        metric="test_accuracy",
    )  # fmt: skip
    writer.declare(made)
    writer.run(made, "init=normal", 0, metrics=accuracy(0.9), rule=rule)
    frame = load_frame(writer.uri, declarations(writer.uri, "quick")[0])
    assert frame["not_converged"].tolist() == [rule]
