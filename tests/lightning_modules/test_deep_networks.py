"""FitNet-4 and residual networks: what lies where, and what LSUV does to them."""

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.fitnet import FitNet
from lightning_modules.layers import layers_of, pieces_of
from lightning_modules.resnet import Block, ResNet

SMALL = {
    "input_shape": (3, 16, 16),
    "classes": 10,
    "stages": ((8, 8), (12, 12), (16,)),
    "units": 20,
}


def shapes(module: nn.Module, x: Tensor) -> list[tuple[int, ...]]:
    """Return the shape of what each layer takes, in forward order."""
    found: list[tuple[int, ...]] = []
    hooks = [
        layer.register_forward_pre_hook(lambda _, inputs: found.append(tuple(inputs[0].shape[1:])))
        for _, _, layer in layers_of(module)
    ]
    module(x)
    for hook in hooks:
        hook.remove()
    return found


def test_fitnet_halves_twice_and_looks_everywhere_once() -> None:
    found = shapes(
        FitNet(input_shape=(3, 32, 32), classes=10, init="zeros"), torch.zeros(1, 3, 32, 32)
    )
    sizes = [shape[1] if len(shape) == 3 else shape for shape in found]
    assert sizes == [32] * 5 + [16] * 6 + [8] * 6 + [(128,), (500,)]
    assert [shape[0] for shape in found[:17]] == [3, 32, 32, 32, 48, 48, *[80] * 6, *[128] * 5]


def test_fitnet_drops_the_input_after_each_pool_and_the_dense_units() -> None:
    module = FitNet(**SMALL, activation="sigmoid", init="he_normal", keep_prob=0.5).train()
    shares = []
    for _, _, layer in layers_of(module.network):
        layer.register_forward_pre_hook(
            lambda _, inputs: shares.append(float((inputs[0] != 0).float().mean()))
        )
    module(torch.ones(200, 3, 16, 16))
    # Sigmoids are never 0: only dropout makes zeros. 200 images x 16 or 20 units: 3 errors.
    assert shares == pytest.approx([0.5, 1, 0.5, 1, 0.5, 0.5, 0.5], abs=0.03)


@pytest.mark.parametrize("activation", ["relu", "maxout", "very_leaky_relu", "tanh", "sigmoid"])
def test_lsuv_gives_every_piece_of_fitnet_unit_variance(activation: str) -> None:
    module = FitNet(**SMALL, activation=activation, init="lsuv", keep_prob=1.0)
    x = torch.randn(64, 3, 16, 16)
    module.prepare(x)
    variances = []

    def note(layer: nn.Module, _: object, output: Tensor) -> None:
        parts = output.chunk(pieces_of(layer), 1)
        variances.extend(float(part.detach().var(correction=0)) for part in parts)

    for _, _, layer in layers_of(module.network):
        layer.register_forward_hook(note)
    module.train()(x)
    assert len(variances) == (5 * 2 + 5 + 1 if activation == "maxout" else 7)
    assert variances == pytest.approx([1] * len(variances), abs=0.021)


def test_a_block_without_weights_is_its_shortcut() -> None:
    for inputs, outputs in ((4, 4), (4, 8)):
        block = Block(inputs, outputs).eval()
        for convolution in (block.first, block.second):
            nn.init.zeros_(convolution.weight)
        x = torch.rand(2, 4, 6, 6)
        found = block(x)
        step = 1 if inputs == outputs else 2
        assert torch.equal(found[:, :4], x[:, :, ::step, ::step])
        assert not found[:, 4:].any()


def test_resnet_20_has_20_layers_and_halves_twice() -> None:
    found = shapes(ResNet(input_shape=(3, 32, 32), classes=10), torch.zeros(2, 3, 32, 32))
    assert len(found) == 20
    assert [shape[-1] for shape in found[1:-1]] == [32] * 7 + [16] * 6 + [8] * 5
    assert found[-1] == (64,)


@pytest.mark.parametrize("family", [FitNet, ResNet])
def test_images_are_changed_in_training_only_and_only_if_asked_for(family: type) -> None:
    settings = {"input_shape": (3, 8, 8), "classes": 10, "init": "he_normal"}
    x, y = torch.rand(8, 3, 8, 8), torch.arange(8)
    keep = {"keep_prob": 1.0} if family is FitNet else {}
    for augment in (False, True):
        module = family(**settings, augment=augment, **keep)
        module.eval()
        assert torch.equal(module.objective(x, y), module.objective(x, y))
        module.train()
        first, second = module.objective(x, y), module.objective(x, y)
        assert torch.equal(first, second) is not augment
