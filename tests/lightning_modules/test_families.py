"""Every family: sizes, gradients, dropout, learning, settings."""

from collections.abc import Callable

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from lightning_modules.activations import MONOTONE
from lightning_modules.convnet import ConvNet, ConvNetNetwork
from lightning_modules.families import Classifier, build_family
from lightning_modules.layers import dropout, layers_of, pieces_of
from lightning_modules.mlp import MLP, MLPNetwork
from lightning_modules.registry import ACTIVATIONS, FAMILIES, INITIALIZERS, UnknownName
from lightning_modules.signatures import signature_of

IMAGE = (1, 8, 8)
SMALL: dict[str, dict[str, object]] = {
    "linear": {},
    "mlp": {"widths": (32, 24)},
    "convnet": {"channels": (8, 12), "dense": (16,), "conv_bias": True},
    "fitnet": {
        "stages": ((8,), (12,), (16,)),
        "units": 32,
        "keep_prob": 1.0,
        "init": "he_normal",
    },
    "resnet": {"blocks": 1, "width": 8},
    "reduced": {"width": 9, "reduction": "lda"},
    "rbm_mlp": {"widths": (64,), "pretrain_epochs": 3},
    "torch_mlp": {"widths": (32, 24)},
}
MNIST = {"input_shape": (1, 28, 28), "classes": 10}
XOR = {"input_shape": (2,), "classes": 1}
CIFAR = {"input_shape": (3, 32, 32), "classes": 10}
DEEP = {"channels": (32, 64, 128), "dense": (625,)}
COUNTS = [
    ("linear", MNIST, 7_850),
    ("linear", XOR, 3),
    ("mlp", MNIST | {"widths": (256, 128, 64)}, 242_762),
    ("mlp", MNIST | {"widths": (256, 256)}, 269_322),
    ("mlp", MNIST | {"widths": (512,) * 4}, 1_195_018),
    ("mlp", MNIST | {"widths": (256, 256, 256)}, 335_114),
    ("mlp", XOR | {"widths": (2,)}, 9),
    ("mlp", XOR | {"widths": (10, 10, 10)}, 261),
    ("mlp", XOR | {"widths": (10, 10, 10, 5, 5, 5, 5, 5)}, 431),
    ("mlp", XOR | {"widths": (5,) * 8}, 231),
    ("convnet", MNIST | {"channels": (32, 64)}, 50_090),
    ("convnet", MNIST | {"channels": (32, 64), "conv_bias": True}, 50_186),
    ("convnet", MNIST | DEEP, 1_379_333),
    ("convnet", {"input_shape": (3, 32, 32), "classes": 10, "conv_bias": True}, 60_362),
    ("fitnet", CIFAR, 1_276_806),
    ("fitnet", CIFAR | {"activation": "maxout"}, 2_742_102),
    ("resnet", CIFAR, 269_722),
    ("rbm_mlp", MNIST | {"widths": (256, 256)}, 269_322),
    ("torch_mlp", MNIST | {"widths": (256, 256)}, 269_322),
]
FAMILY_AND_ACTIVATION = [(family, None) for family in ("linear", "resnet", "rbm_mlp")] + [
    (family, activation)
    for family in ("mlp", "convnet", "fitnet")
    for activation in ACTIVATIONS.names()
]


def small(family: str, **settings: object) -> nn.Module:
    return build_family(family, input_shape=IMAGE, classes=10, **(SMALL[family] | settings))


def test_every_family_is_tested() -> None:
    # Those of other tasks have a test file of their own.
    names = {name for name in FAMILIES.names() if issubclass(FAMILIES.get(name), Classifier)}
    assert names == set(SMALL)


@pytest.mark.parametrize(("family", "settings", "count"), COUNTS)
def test_parameter_counts(family: str, settings: dict[str, object], count: int) -> None:
    module = build_family(family, init="zeros", **settings)
    assert sum(parameter.numel() for parameter in module.parameters()) == count


@pytest.mark.parametrize(("family", "activation"), FAMILY_AND_ACTIVATION)
def test_a_gradient_reaches_every_parameter_and_piece(
    family: str, activation: str | None, digits: tuple[Tensor, Tensor]
) -> None:
    settings = {} if activation is None else {"activation": activation}
    module = small(family, **(settings | {"init": "he_normal", "bias_init": "normal"}))
    module.objective(digits[0][:64], digits[1][:64]).backward()
    for path, _, layer in layers_of(module.network):
        for name, parameter in layer.named_parameters():
            for piece in parameter.grad.chunk(pieces_of(layer)):
                assert float(piece.abs().sum()) > 0, f"{path}.{name}"


@pytest.mark.parametrize("init", INITIALIZERS.names())
@pytest.mark.parametrize("family", SMALL)
def test_every_initializer_fits_every_family(family: str, init: str) -> None:
    module = small(family, init=init)
    assert all(bool(parameter.isfinite().all()) for parameter in module.parameters())


@pytest.mark.parametrize("family", SMALL)
@pytest.mark.parametrize("classes", [1, 10])
def test_flat_inputs_and_images_give_the_same_logits(
    family: str, classes: int, digits: tuple[Tensor, Tensor]
) -> None:
    module = build_family(family, input_shape=IMAGE, classes=classes, **SMALL[family])
    if hasattr(module, "pretrain"):
        module.pretrain(digits[0][:200], digits[1][:200])
    x = digits[0][:5]
    assert module(x).shape == (5, classes)
    torch.testing.assert_close(module(x.flatten(1)), module(x))


# Lightning's own advice, and its use of what torch has deprecated.
@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no")
@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.:FutureWarning")
@pytest.mark.parametrize("family", SMALL)
def test_every_family_learns_the_digits_under_a_plain_trainer(
    family: str,
    digits: tuple[Tensor, Tensor],
    loader: Callable[..., DataLoader],
    plain_trainer: Callable[..., pl.Trainer],
) -> None:
    x, y = digits
    module = small(family, optimizer={"learning_rate": 0.01})
    trainer = plain_trainer(max_epochs=4)
    trainer.fit(module, loader(x[:1400], y[:1400], shuffle=True))
    found = trainer.test(module, loader(x[1400:], y[1400:]), verbose=False)
    assert found[0]["test_accuracy"] > 0.8


def test_keep_prob_one_is_the_identity() -> None:
    assert isinstance(dropout(1), nn.Identity)
    module = small("mlp", keep_prob=1.0)
    x = torch.rand(6, *IMAGE)
    assert torch.equal(module.train()(x), module.eval()(x))


def test_keep_prob_is_the_share_that_is_kept_and_the_mean_stays() -> None:
    kept = dropout(0.7)(torch.ones(1000, 1000))
    # A million units: the standard error of the share is 0.0005.
    assert float((kept > 0).float().mean()) == pytest.approx(0.7, abs=0.003)
    assert float(kept.mean()) == pytest.approx(1.0, abs=0.004)
    torch.testing.assert_close(kept[kept > 0], torch.full_like(kept[kept > 0], 1 / 0.7))


@pytest.mark.parametrize("keep_prob", [0, -0.1, 1.1, float("nan")])
def test_impossible_keep_prob(keep_prob: float) -> None:
    with pytest.raises(ValueError, match="keep_prob: expected a probability"):
        dropout(keep_prob)


def kept_units(layers: list[nn.Module], module: nn.Module, x: Tensor) -> list[float]:
    """Return the share of non-zero inputs of each layer, in training mode."""
    shares: list[float] = []
    for layer in layers:
        layer.register_forward_pre_hook(
            lambda _, inputs: shares.append(float((inputs[0] != 0).float().mean()))
        )
    module.train()(x)
    return shares


def test_mlp_drops_hidden_units_and_no_inputs() -> None:
    module = MLP(
        input_shape=(50,), classes=10, widths=(400, 400), activation="sigmoid", keep_prob=0.7
    )
    shares = kept_units(list(module.network.linears), module, torch.ones(100, 50))
    assert shares == pytest.approx([1.0, 0.7, 0.7], abs=0.02)


@pytest.mark.parametrize(("dense_keep_prob", "expected"), [(None, 0.7), (0.5, 0.5)])
def test_convnet_drops_after_pools_and_after_hidden_dense_layers(
    dense_keep_prob: float | None, expected: float
) -> None:
    module = ConvNet(
        input_shape=(16, 16),
        classes=10,
        channels=(8, 8),
        dense=(400,),
        activation="sigmoid",
        keep_prob=0.7,
        dense_keep_prob=dense_keep_prob,
    )
    layers = [*module.network.convolutions, *module.network.linears]
    shares = kept_units(layers, module, torch.ones(100, 16, 16))
    assert shares == pytest.approx([1.0, 0.7, 0.7, expected], abs=0.02)


@pytest.mark.parametrize("activation", ACTIVATIONS.names())
def test_pooling_first_changes_nothing(activation: str) -> None:
    network = ConvNetNetwork(input_shape=(1, 7, 7), outputs=3, channels=(4,), activation=activation)
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    assert network.pool_first == (activation in MONOTONE)
    x = torch.randn(5, 1, 7, 7)
    maps = network.activate_maps(network.convolutions[0](x))
    pooled = functional.max_pool2d(maps, 2, ceil_mode=True)
    assert pooled.shape[2:] == (4, 4)
    torch.testing.assert_close(network(x), network.linears[0](pooled.flatten(1)))


def test_convolution_weights_are_channels_last_also_for_one_channel() -> None:
    # Strides that torch reads as channels-last: (9, 9, 3, 1) of one channel would be the slow path.
    network = ConvNetNetwork(input_shape=(28, 28), outputs=10, channels=(32, 64))
    strides = [convolution.weight.stride() for convolution in network.convolutions]
    assert strides == [(9, 1, 3, 1), (9 * 32, 1, 3 * 32, 32)]


def test_an_odd_row_is_kept_by_the_pool() -> None:
    network = ConvNetNetwork(input_shape=(28, 28), outputs=10, channels=(1, 1, 1))
    assert network.linears[0].in_features == 4 * 4


def test_the_mlp_runs_under_vmap_and_compiles_without_a_break() -> None:
    modules = [MLP(input_shape=(6,), classes=3, widths=(5, 4), seed=s).network for s in range(4)]
    x = torch.randn(4, 7, 6)
    values, buffers = torch.func.stack_module_state(modules)

    def forward(values: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(modules[0], (values, buffers), (x,))

    stacked = torch.func.vmap(forward)(values, buffers, x)
    alone = torch.stack([module(each) for module, each in zip(modules, x, strict=True)])
    torch.testing.assert_close(stacked, alone)
    torch._dynamo.reset()
    compiled = torch.compile(modules[0], backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x[0]), modules[0](x[0]))


def test_building_leaves_the_global_random_state_alone() -> None:
    state = torch.get_rng_state()
    for family in SMALL:
        small(family)
    assert torch.equal(torch.get_rng_state(), state)


def test_seed_zero_is_a_seed_and_others_differ() -> None:
    first, again, other = (small("mlp", init="normal", seed=seed) for seed in (0, 0, 1))
    weights = [each.network.linears[0].weight for each in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_wrong_names_and_settings() -> None:
    with pytest.raises(UnknownName, match="unknown family 'convent'; nearest: 'convnet'"):
        build_family("convent", **MNIST)
    with pytest.raises(UnknownName, match="setting of family 'mlp' 'witdhs'; nearest: 'widths'"):
        build_family("mlp", **MNIST, witdhs=(3,))
    with pytest.raises(ValueError, match="'mlp': classes: expected a value"):
        build_family("mlp", input_shape=(2,))
    with pytest.raises(
        ValueError, match=r"widths: expected a list of positive integers, found \(4, 0\)"
    ):
        build_family("mlp", **MNIST, widths=(4, 0))
    with pytest.raises(
        ValueError, match=r"widths: expected whole numbers >= 1, found 0 in \(4, 0\)"
    ):
        MLP(**MNIST, widths=(4, 0))
    with pytest.raises(ValueError, match="input_shape: expected"):
        build_family("convnet", input_shape=(64,), classes=10)
    with pytest.raises(UnknownName, match="nearest: 'relu'"):
        build_family("mlp", **MNIST, activation="rleu")


def test_the_settings_of_a_family_can_be_listed() -> None:
    assert tuple(signature_of(FAMILIES.get("linear")).settings) == (
        "input_shape", "classes", "init", "bias_init",
        "loss", "optimizer", "scheduler", "l2", "seed",
    )  # fmt: skip


def test_the_network_of_an_mlp_names_its_parts() -> None:
    network = MLPNetwork(inputs=4, outputs=2, widths=(3,), activation="maxout", keep_prob=0.5)
    assert [linear.out_features for linear in network.linears] == [6, 2]
    assert (network.activation, network.keep_prob) == ("maxout", 0.5)
