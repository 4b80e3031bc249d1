"""How runs are divided into stacks changes no table."""

from __future__ import annotations

from typing import Any

import pytest

from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.training.execute import execute
from tests.training.stacks import DIGITS, MakeRun

FULL_BATCH: dict[str, Any] = {"training__steps": 100}
TEXT: dict[str, Any] = {
    "model": {"family": "char_rnn"},
    "data": {"name": "hihello"},
    "optimizer": {"name": "adam_tf", "learning_rate": 0.1},
    "training": {"epochs": 20},
}


def records(runs: list[Run], size: int) -> list[Record]:
    """Return what workers leave of runs in stacks of at most so many."""
    parts = [tuple(runs[first : first + size]) for first in range(0, len(runs), size)]
    return [r for part in parts for r in execute(Stack(part, TrainerName.STACKED, "a test"))]


@pytest.mark.parametrize(
    "settings",
    [FULL_BATCH, {**DIGITS, "model__keep_prob": 0.8}, TEXT],
    ids=["runs innermost", "runs first, dropout", "text"],
)
def test_stacks_of_one_two_and_five_give_the_same_table(
    make_run: MakeRun, settings: dict[str, Any]
) -> None:
    runs = [make_run(replicate=n, **settings) for n in range(5)]
    fives, *others = (records(runs, size) for size in (5, 2, 1))
    assert [record.provenance["stack_size"] for record in others[0]] == [*"22221"]
    for other in others:
        for one, together in zip(other, fives, strict=True):
            assert one.status is together.status is Status.FINISHED, one.error
            assert (one.run, one.steps, one.not_converged) == (
                together.run,
                together.steps,
                together.not_converged,
            )
            # Another order of float32 sums; an accuracy, a share of whole examples, is the same.
            assert one.metrics == pytest.approx(together.metrics, rel=1e-5)
            for name, points in together.curves.items():
                values = [value for _, value in points]
                assert [value for _, value in one.curves[name]] == pytest.approx(values, rel=1e-5)
