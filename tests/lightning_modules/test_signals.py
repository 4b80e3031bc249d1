"""What reaches the layers: gradients against autograd, activations against a forward pass."""

from __future__ import annotations

import pytest
import torch

from lightning_modules.convnet import ConvNet
from lightning_modules.mlp import MLP
from lightning_modules.signals import layer_signals

X = torch.rand(20, 6, generator=torch.Generator().manual_seed(3))
Y = torch.arange(20) % 3


def mlp(**settings: object) -> MLP:
    given = {"activation": "tanh", **settings}
    return MLP(input_shape=(6,), classes=3, widths=(5, 4), **given)  # type: ignore[arg-type]


def test_gradients_are_those_of_the_objective_without_dropout() -> None:
    module = mlp(keep_prob=0.5, l2=0.1)
    found = layer_signals(module, X, Y)
    module.eval()
    module.objective(X, Y).backward()
    weights = [layer.weight for layer in module.network.linears]
    assert [signal.name for signal in found] == ["layer_1", "layer_2", "layer_3"]
    for signal, weight in zip(found, weights, strict=True):
        assert torch.equal(signal.gradient, weight.grad)
        assert signal.gradient_norm == pytest.approx(float(weight.grad.norm()))


def test_an_activation_is_what_the_next_layer_receives() -> None:
    module = mlp()
    first, second, third = module.network.linears
    hidden = torch.tanh(first(X))
    deeper = torch.tanh(second(hidden))
    found = layer_signals(module, X, Y)
    for signal, value in zip(found, (hidden, deeper, third(deeper)), strict=True):
        torch.testing.assert_close(signal.activation, value.detach())


def test_spread_is_zero_where_all_examples_look_the_same() -> None:
    alike = layer_signals(mlp(), X[:1].expand(8, 6), Y[:8])
    assert all(signal.activation_spread < 1e-6 for signal in alike)
    different = layer_signals(mlp(), X, Y)
    assert all(signal.activation_spread > 1e-3 for signal in different)


def test_looking_changes_neither_the_module_nor_the_random_state() -> None:
    module = mlp(keep_prob=0.5)
    state = torch.get_rng_state()
    before = [value.clone() for value in module.parameters()]
    layer_signals(module, X, Y)
    assert torch.equal(torch.get_rng_state(), state)
    assert module.training
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
    assert all(value.grad is None for value in module.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())


def test_convolutions_count_as_layers() -> None:
    module = ConvNet(input_shape=(1, 8, 8), classes=3, channels=(2, 3), dense=(4,))
    found = layer_signals(module, torch.rand(5, 1, 8, 8), Y[:5])
    assert [signal.weight.dim() for signal in found] == [4, 4, 2, 2]
