"""Fewer bits only where a study says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from ablation_lab.study.run import Run
from ablation_lab.training.computing import precision
from ablation_lab.training.trained import Trained
from tests.training.stacks import DIGITS, MakeRun, train_single, train_stack


def in_a_stack(run: Run) -> Trained:
    return train_stack([run])[0]


def test_float32_is_what_a_study_gets_that_says_nothing() -> None:
    with precision(None):
        assert torch.get_float32_matmul_precision() == "highest"
        assert not torch.backends.cudnn.allow_tf32
        a = torch.rand(4, 4)
        assert (a @ a).dtype is torch.float32


def test_bf16_computes_products_in_bfloat16_and_keeps_parameters() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    layer = torch.nn.Linear(8, 8, device=device)
    with precision("bf16"):
        y = layer(torch.rand(2, 8, device=device))
        y.float().sum().backward()
    assert y.dtype is torch.bfloat16
    assert layer.weight.dtype is layer.weight.grad.dtype is torch.float32


def test_tf32_is_allowed_within_and_everything_is_as_before_behind() -> None:
    before = settings()
    with precision("tf32"):
        assert settings() == ("high", True, True)
    assert settings() == before


@pytest.mark.parametrize("name", [None, "tf32", "bf16"])
def test_a_card_computes_what_can_be_repeated(name: str | None) -> None:
    with precision(name):
        assert torch.backends.cudnn.deterministic


@pytest.mark.parametrize("train", [train_single, in_a_stack], ids=["alone", "in a stack"])
def test_a_fit_in_bfloat16_learns_what_one_in_float32_learns(
    make_run: MakeRun, train: Callable[[Run], Trained]
) -> None:
    """Every step computes with the weights of that step."""
    run = make_run(**DIGITS | {"training": {"epochs": 20, "batch_size": 20, "loss": "stable"}})
    exact = train(run)
    with precision("bf16"):
        coarse = train(run)
    first, last = (exact.curves["train_loss"][at][1] for at in (0, -1))
    assert last < first / 3
    assert coarse.curves["train_loss"] != exact.curves["train_loss"]
    # A product in bfloat16 has 8 bits: 0.4 % for each, over 60 steps.
    assert coarse.curves["train_loss"][-1][1] == pytest.approx(last, rel=0.2)


def settings() -> tuple[str, bool, bool]:
    """Return how products and convolutions are computed now."""
    library = torch.backends.cudnn
    return torch.get_float32_matmul_precision(), library.allow_tf32, library.deterministic
