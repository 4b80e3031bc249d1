"""LSUV: unit variance of every pre-activation, and nothing else touched."""

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.convnet import ConvNetNetwork
from lightning_modules.initializers import TOLERANCE, initialize, lsuv
from lightning_modules.layers import layers_of, pieces_of
from lightning_modules.mlp import MLPNetwork
from lightning_modules.registry import ACTIVATIONS


def mlp(activation: str = "relu", *, keep_prob: float = 1.0) -> nn.Module:
    network = MLPNetwork(
        inputs=64, outputs=10, widths=(60, 50, 40), activation=activation, keep_prob=keep_prob
    )
    initialize(network, weight="lsuv", bias="zeros", seed=0)
    return network


def convnet(activation: str) -> nn.Module:
    network = ConvNetNetwork(
        input_shape=(1, 8, 8),
        outputs=10,
        channels=(6, 8),
        dense_widths=(20,),
        activation=activation,
    )
    initialize(network, weight="lsuv", bias="zeros", seed=0)
    return network


def variances(network: nn.Module, x: Tensor) -> list[float]:
    """Return the variance of each piece's pre-activation, in forward order."""
    found: list[float] = []

    def record(layer: nn.Module, _: object, output: Tensor) -> None:
        axis = 1 if isinstance(layer, nn.Conv2d) else -1
        found.extend(float(o.var(correction=0)) for o in output.chunk(pieces_of(layer), axis))

    hooks = [layer.register_forward_hook(record) for _, _, layer in layers_of(network)]
    with torch.no_grad():
        network(x)
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("build", [mlp, convnet])
@pytest.mark.parametrize("activation", ACTIVATIONS.names())
def test_every_layer_and_piece_has_unit_variance(
    build: object, activation: str, digits: tuple[Tensor, Tensor]
) -> None:
    network = build(activation)
    x = digits[0][:200]
    assert any(abs(v - 1) > 0.1 for v in variances(network, x))
    lsuv(network, x)
    after = variances(network, x)
    assert len(after) == sum(pieces_of(layer) for _, _, layer in layers_of(network))
    assert all(abs(variance - 1) <= TOLERANCE + 1e-4 for variance in after)


def test_dropout_is_active_while_scaling(digits: tuple[Tensor, Tensor]) -> None:
    network = mlp(keep_prob=0.5)
    x = digits[0]
    lsuv(network.eval(), x)
    assert not network.training
    without = variances(network, x)
    within = variances(network.train(), x)
    # Other masks than those of LSUV: 1,797 x 40 pre-activations bring about 0.02 of noise.
    assert all(abs(variance - 1) < 0.08 for variance in within)
    assert min(without[1:]) < 0.8


def test_biases_and_the_global_random_state_stay(digits: tuple[Tensor, Tensor]) -> None:
    network = mlp(keep_prob=0.7)
    initialize(network, weight="lsuv", bias="normal", seed=0)
    biases = [layer.bias.detach().clone() for _, _, layer in layers_of(network)]
    state = torch.get_rng_state()
    lsuv(network, digits[0][:100])
    assert torch.equal(torch.get_rng_state(), state)
    for before, (_, _, layer) in zip(biases, layers_of(network), strict=True):
        assert torch.equal(layer.bias, before)


def test_equal_network_and_batch_give_equal_weights(digits: tuple[Tensor, Tensor]) -> None:
    first, second = mlp(keep_prob=0.7), mlp(keep_prob=0.7)
    lsuv(first, digits[0][:100])
    torch.rand(11)
    lsuv(second, digits[0][:100])
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_only_the_chosen_kind_of_layer_is_scaled(digits: tuple[Tensor, Tensor]) -> None:
    network = convnet("relu")
    before = {path: layer.weight.detach().clone() for path, _, layer in layers_of(network)}
    lsuv(network, digits[0][:100], kinds=("dense",))
    for path, kind, layer in layers_of(network):
        assert torch.equal(before[path], layer.weight) == (kind == "conv")


def test_a_layer_whose_output_does_not_vary_stays_finite() -> None:
    network = mlp()
    lsuv(network, torch.zeros(10, 64))
    assert all(bool(p.isfinite().all()) for p in network.parameters())
