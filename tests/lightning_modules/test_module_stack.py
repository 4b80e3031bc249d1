"""K modules as one: what is left of a stack computes what it did before."""

from __future__ import annotations

import pytest
import torch

from lightning_modules.mlp import MLP
from lightning_modules.stack import LearnerStack

STEP = 5
# Inputs of this size make the printed loss NaN, and not the stable one.
SATURATING = 1e4


def modules() -> list[MLP]:
    """Return four networks that differ in all that the runs of a stack may differ in."""
    differences = [("stable", 0.0, 0.5), ("unclipped", 0.1, 1.0), ("stable", 0.2, 0.8)]
    differences.append(("unclipped", 0.3, 0.6))
    return [
        MLP(
            input_shape=(4,),
            classes=3,
            widths=(5,),
            loss=loss,
            l2=l2,
            keep_prob=keep_prob,
            seed=seed,
        )
        for seed, (loss, l2, keep_prob) in enumerate(differences)
    ]


def batch(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(*shape, 4, generator=draw)
    return x, torch.randint(0, 3, shape, generator=draw)


@pytest.mark.parametrize("rows", [[3, 1], [0], [1, 2, 3], [0, 1, 2, 3]])
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("scale", [1.0, SATURATING])
def test_the_runs_that_are_kept_go_on_as_before(rows: list[int], own: bool, scale: float) -> None:
    stack = LearnerStack(modules(), streams=[11, 22, 33, 44])
    x, y = batch(4, 6) if own else batch(6)
    x = scale * x
    stack.at_step(STEP)
    objectives, outputs = stack.objective(x, y, own=own), stack(x, own=own)
    stack.keep(rows)
    mine = (x[rows], y[rows]) if own else (x, y)
    stack.at_step(STEP)
    torch.testing.assert_close(stack.objective(*mine, own=own), objectives[rows], equal_nan=True)
    torch.testing.assert_close(stack(mine[0], own=own), outputs[rows])
    assert stack.size == len(rows)


def test_a_run_answers_at_its_own_values() -> None:
    stack = LearnerStack(modules(), streams=[1, 2, 3, 4])
    x, _ = batch(6)
    for index, outputs in enumerate(stack(x)):
        state = [*stack.values, *stack.buffers_of_runs.values()]
        values = [value[index] for value in state]
        torch.testing.assert_close(stack.at(values, x), outputs)
    with pytest.raises(ValueError, match="at least one run, found none"):
        LearnerStack([], streams=[])
