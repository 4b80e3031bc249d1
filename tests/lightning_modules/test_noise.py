"""Dropout masks from a hash: the right share, independent bits, the run's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lightning_modules.layers import OwnDropout, mix

UNITS = 200_000


def mask(*, stream: int = 1, step: int = 0, call: int = 1, keep_prob: float = 0.5) -> Tensor:
    """Return which of many units one call keeps, as numbers."""
    layer = OwnDropout(keep_prob=keep_prob, stream=stream).train()
    layer.at_step(step)
    for _ in range(call):
        kept = layer(torch.ones(UNITS))
    return (kept != 0).float()


@pytest.mark.parametrize("keep_prob", [0.1, 0.5, 0.7, 0.9])
def test_the_share_of_kept_units_is_keep_prob(keep_prob: float) -> None:
    share = float(mask(keep_prob=keep_prob).mean())
    error = (keep_prob * (1 - keep_prob) / UNITS) ** 0.5
    assert abs(share - keep_prob) < 4 * error


@pytest.mark.parametrize(
    "other", [{"stream": 2}, {"stream": 1 + (1 << 20)}, {"step": 1}, {"step": 1024}, {"call": 2}]
)
def test_masks_of_streams_steps_and_calls_are_uncorrelated(other: dict[str, int]) -> None:
    a, b = mask(), mask(**other)
    correlation = float(torch.corrcoef(torch.stack([a, b]))[0, 1])
    assert abs(correlation) < 4 / UNITS**0.5


@pytest.mark.parametrize("lag", [1, 2, 16, 100, 128, 512])
def test_neighbouring_units_are_uncorrelated(lag: int) -> None:
    bits = mask()
    correlation = float(torch.corrcoef(torch.stack([bits[:-lag], bits[lag:]]))[0, 1])
    assert abs(correlation) < 4 / UNITS**0.5


def test_what_is_kept_is_scaled_and_what_is_not_has_no_gradient() -> None:
    layer = OwnDropout(keep_prob=0.7, stream=3).train()
    x = torch.full((1000,), 2.0, requires_grad=True)
    y = layer(x)
    assert set(y.unique().tolist()) == {0.0, float(torch.tensor(2.0) / torch.tensor(0.7))}
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient == 0, y == 0)


def test_keeping_all_is_the_identity_and_so_is_evaluation() -> None:
    x = torch.randn(100, generator=torch.Generator().manual_seed(0))
    assert torch.equal(OwnDropout(keep_prob=1.0, stream=3).train()(x), x)
    assert torch.equal(OwnDropout(keep_prob=0.1, stream=3).eval()(x), x)


def test_mix_is_a_permutation() -> None:
    numbers = torch.arange(-50_000, 50_000, dtype=torch.int32)
    assert len(mix(numbers).unique()) == len(numbers)
