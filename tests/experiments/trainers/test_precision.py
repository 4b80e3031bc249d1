"""Fewer bits only where a study says so."""

from __future__ import annotations

import torch

from experiments.trainers.precision import precision


def test_float32_is_what_a_study_gets_that_says_nothing() -> None:
    with precision(None):
        assert torch.get_float32_matmul_precision() == "highest"
        assert not torch.backends.cudnn.allow_tf32
        a = torch.rand(4, 4)
        assert (a @ a).dtype is torch.float32


def test_bf16_computes_products_in_bfloat16_and_keeps_parameters() -> None:
    layer = torch.nn.Linear(8, 8)
    with precision("bf16"):
        y = layer(torch.rand(2, 8))
        y.float().sum().backward()
    assert y.dtype is torch.bfloat16
    assert layer.weight.dtype is layer.weight.grad.dtype is torch.float32


def test_tf32_is_allowed_within_and_everything_is_as_before_behind() -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    with precision("tf32"):
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.backends.cudnn.allow_tf32
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == before
