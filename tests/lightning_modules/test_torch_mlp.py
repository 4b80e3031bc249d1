"""An MLP that starts as torch's own layers do, held against torch's own layers."""

from collections.abc import Callable
from math import sqrt

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.layers import layers_of
from lightning_modules.mlp import MLP, TorchMLP

WIDE = {"input_shape": (400,), "classes": 300, "widths": (900,)}
Part = Callable[[nn.Linear], Tensor]


@pytest.mark.parametrize("part", [lambda layer: layer.weight, lambda layer: layer.bias])
def test_weights_and_biases_have_the_spread_of_torchs_own(part: Part) -> None:
    ours = [part(layer) for _, _, layer in layers_of(TorchMLP(**WIDE).network)]
    theirs = [part(nn.Linear(400, 900)), part(nn.Linear(900, 300))]
    for one, other, fan_in in zip(ours, theirs, (400, 900), strict=True):
        bound = 1 / sqrt(fan_in)
        # The largest of 300 draws: nearer to the bound than a twentieth, but for 2e-7 of seeds.
        for drawn in (one, other):
            assert 0.95 * bound < float(drawn.detach().abs().max()) <= bound
        # Standard error of the spread of 300 uniform draws: 2.6 %.
        assert float(one.detach().std()) == pytest.approx(bound / sqrt(3), rel=0.1)


def test_the_draws_are_those_of_an_mlp_of_that_seed() -> None:
    settings = {"input_shape": (6,), "classes": 3, "widths": (5, 4), "seed": 7}
    weights = MLP(**settings, init="torch_default").network.state_dict()
    uniform = MLP(**settings, bias_init="uniform").network.state_dict()
    for name, value in TorchMLP(**settings).network.state_dict().items():
        fan_in = weights[name.replace("bias", "weight")].shape[1]
        expected = uniform[name] / sqrt(fan_in) if name.endswith("bias") else weights[name]
        torch.testing.assert_close(value, expected)
    other = TorchMLP(**{**settings, "seed": 8}).network.state_dict()
    assert not torch.equal(other["linears.0.bias"], TorchMLP(**settings).network.linears[0].bias)


def test_the_pieces_of_maxout_have_the_fan_in_of_their_layer() -> None:
    module = TorchMLP(**WIDE, activation="maxout")
    for _, _, layer in layers_of(module.network):
        assert float(layer.bias.detach().abs().max()) <= 1 / sqrt(layer.in_features)
