"""Families of other tasks than classes: sizes, gradients, learning, under a plain trainer."""

import math
from collections.abc import Callable

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lightning_modules.autoencoder import Autoencoder
from lightning_modules.convnet import mirror_and_crop
from lightning_modules.families import Classifier, Learner, build_family
from lightning_modules.gan import GAN
from lightning_modules.losses import energy_distance
from lightning_modules.mlp import MLP
from lightning_modules.rbm_mlp import RBM, PretrainedMLP
from lightning_modules.recurrent import LSTM, CharRNN, hard_sigmoid
from lightning_modules.registry import FAMILIES, INITIALIZERS
from lightning_modules.task import Task

# family -> settings, parameters, and the shapes of x, y and the outputs for two examples
CASES: dict[str, tuple[dict[str, object], int, tuple[int, ...], tuple[int, ...]]] = {
    "linear_regression": ({"input_shape": (2,)}, 3, (2,), (1,)),
    "char_rnn": ({"input_shape": (25, 15), "classes": 15}, 705, (25, 15), (25, 15)),
    "lstm": ({"input_shape": (5, 1)}, 12, (5, 1), (1,)),
    "autoencoder": (
        {"input_shape": (1, 8, 8), "widths": (32, 16)},
        64 * 32 + 32 + 32 * 16 + 16 + 16 * 32 + 32 + 32 * 64 + 64,
        (1, 8, 8),
        (1, 8, 8),
    ),
}


def targets(family: str, count: int, draw: torch.Generator) -> Tensor:
    if family == "char_rnn":
        return torch.randint(0, 15, (count, 25), generator=draw)
    return torch.randn(count, 1, generator=draw)


def examples(family: str, count: int = 20) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    return torch.rand(count, *CASES[family][2], generator=draw), targets(family, count, draw)


def test_every_family_of_another_task_is_tested() -> None:
    names = {name for name in FAMILIES.names() if not issubclass(FAMILIES.get(name), Classifier)}
    assert names == {*CASES, "gan"}


@pytest.mark.parametrize("family", CASES)
def test_sizes_shapes_and_gradients(family: str) -> None:
    settings, count, _, outputs = CASES[family]
    module = build_family(family, **settings, init="uniform")
    assert isinstance(module, Learner)
    assert sum(parameter.numel() for parameter in module.parameters()) == count
    x, y = examples(family)
    assert module(x).shape == (20, *outputs)
    module.objective(x, y).backward()
    for name, parameter in module.named_parameters():
        assert float(parameter.grad.abs().sum()) > 0, name


@pytest.mark.parametrize("init", INITIALIZERS.names())
@pytest.mark.parametrize("family", CASES)
def test_every_initializer_fits(family: str, init: str) -> None:
    module = build_family(family, **CASES[family][0], init=init)
    assert all(bool(parameter.isfinite().all()) for parameter in module.parameters())


@pytest.mark.parametrize("family", CASES)
def test_the_seed_alone_decides_the_draw(family: str) -> None:
    def weights(seed: int) -> Tensor:
        module = build_family(family, **CASES[family][0], init="normal", seed=seed)
        return nn.utils.parameters_to_vector(module.parameters())

    state = torch.get_rng_state()
    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no")
@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.:FutureWarning")
@pytest.mark.parametrize("family", CASES)
def test_the_loss_falls_under_a_plain_trainer(
    family: str, loader: Callable[..., DataLoader], plain_trainer: Callable[..., pl.Trainer]
) -> None:
    optimizer = {"name": "adam", "learning_rate": 0.02}
    module = build_family(family, **CASES[family][0], optimizer=optimizer)
    x, y = examples(family)
    before = float(module.objective(x, y).detach())
    trainer = plain_trainer(max_epochs=40)
    trainer.fit(module, loader(x, y))
    found = trainer.test(module, loader(x, y), verbose=False)[0]
    assert float(module.objective(x, y).detach()) < 0.95 * before
    assert set(found) == {"test_accuracy" if module.task is Task.SEQUENCE else "test_loss"}


def test_l2_adds_the_squares_of_the_weights_only() -> None:
    settings = CASES["char_rnn"][0] | {"init": "normal", "bias_init": "normal"}
    plain, ridge = (build_family("char_rnn", **settings, l2=l2) for l2 in (0.0, 0.5))
    x, y = examples("char_rnn")
    weights = sum(float(p.detach().square().sum()) for p in plain.parameters() if p.ndim > 1)
    found = float((ridge.objective(x, y) - plain.objective(x, y)).detach())
    assert found == pytest.approx(0.5 * weights, rel=1e-4)


@pytest.mark.parametrize("family", [*CASES, "gan"])
def test_settings_that_would_be_ignored_are_refused(family: str) -> None:
    settings = CASES[family][0] if family in CASES else {"input_shape": (2, 2)}
    with pytest.raises(ValueError, match=r"loss: this family has one|l2: a GAN has no such"):
        build_family(
            family, **settings, **({"l2": 1.0} if family == "gan" else {"loss": "unclipped"})
        )


def test_regressions_refuse_classes() -> None:
    for family in ("linear_regression", "lstm"):
        with pytest.raises(ValueError, match="expected data with real numbers to predict, found 3"):
            build_family(family, **CASES[family][0], classes=3)


def test_the_recurrent_cell_is_torchs_with_one_joined_kernel() -> None:
    module = CharRNN(input_shape=(7, 4), classes=4, width=6, init="normal", bias_init="normal")
    cell = module.network.cell
    reference = nn.RNN(4, 6, batch_first=True)
    with torch.no_grad():
        reference.weight_ih_l0.copy_(cell.weight[:, :4])
        reference.weight_hh_l0.copy_(cell.weight[:, 4:])
        reference.bias_ih_l0.copy_(cell.bias)
        reference.bias_hh_l0.zero_()
    x = torch.randn(3, 7, 4)
    torch.testing.assert_close(module(x), module.network.head(reference(x)[0]))


def test_a_character_sees_no_later_one() -> None:
    module = CharRNN(input_shape=(7, 4), classes=4)
    x = torch.randn(1, 7, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(module(x)[0, 3].sum(), x)
    assert float(gradient[0, :4].abs().sum()) > 0
    assert float(gradient[0, 4:].abs().sum()) == 0


def test_the_lstm_starts_as_keras_does() -> None:
    network = LSTM(input_shape=(5, 1), seed=7).network
    assert network.kernel.bias.tolist() == [0, 1, 0, 0]
    # Orthogonal with one unit: four entries of norm 1. Glorot: 1 in, 4 out.
    assert float(network.recurrent.weight.detach().norm()) == pytest.approx(1)
    assert float(network.kernel.weight.detach().abs().max()) <= math.sqrt(6 / 5)


def test_the_lstm_is_torchs_where_the_hard_sigmoid_is_one() -> None:
    x = torch.tensor([-10.0, -2.5, 0.0, 1.0, 2.5, 10.0])
    assert hard_sigmoid(x).tolist() == pytest.approx([0, 0, 0.5, 0.7, 1, 1])
    network = LSTM(input_shape=(5, 1), init="zeros", recurrent_init="zeros").network
    with torch.no_grad():
        # All gates open, candidate tanh(x): the cell adds up.
        network.kernel.bias[:] = torch.tensor([10.0, 10.0, 0.0, 10.0])
        network.kernel.weight[2] = 1.0
    x = torch.rand(4, 5, 1)
    torch.testing.assert_close(network(x), torch.tanh(torch.tanh(x).sum(1)))


def test_an_autoencoder_halves_its_error_and_codes_are_narrow(
    digits: tuple[Tensor, Tensor],
) -> None:
    module = Autoencoder(input_shape=(1, 8, 8), widths=(32, 16), optimizer={"learning_rate": 0.01})
    x, optimizer = digits[0][:500], module.configure_optimizers()
    losses = []
    for _ in range(120):
        optimizer.zero_grad()
        loss = module.objective(x, x)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    assert module.encode(x).shape == (500, 16)
    with pytest.raises(ValueError, match="widths: expected at least"):
        Autoencoder(input_shape=(4,), widths=())


def test_the_decks_gan_has_its_sizes_and_initial_spread() -> None:
    module = GAN(input_shape=(1, 28, 28))
    sizes = [
        sum(p.numel() for p in net.parameters()) for net in (module.generator, module.discriminator)
    ]
    assert sizes == [227_344, 201_217]
    for network in (module.generator, module.discriminator):
        for layer in network.linears:
            expected = math.sqrt(2 / layer.in_features)
            # The standard error of a standard deviation of n draws is 1 / sqrt(2 n) of it.
            slack = 4 / math.sqrt(2 * layer.weight.numel())
            assert float(layer.weight.detach().std()) == pytest.approx(expected, rel=slack)
            assert not layer.bias.any()
    assert not torch.equal(
        module.generator.linears[1].weight.flatten()[:9],
        module.discriminator.linears[0].weight.flatten()[:9],
    )


def test_gan_losses_are_those_of_the_papers() -> None:
    module = GAN(input_shape=(2, 2), latent=3, width=5)
    x, z = torch.rand(6, 2, 2), torch.rand(6, 3)
    found_out, convincing = module.losses(x, z)
    real = torch.sigmoid(module.discriminator(x))
    made = torch.sigmoid(module.discriminator(module(z)))
    torch.testing.assert_close(found_out, -(real.log() + (1 - made).log()).mean())
    torch.testing.assert_close(convincing, -made.log().mean())


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.:FutureWarning")
def test_a_gan_moves_both_networks_at_once_and_comes_nearer(
    digits: tuple[Tensor, Tensor],
    loader: Callable[..., DataLoader],
    plain_trainer: Callable[..., pl.Trainer],
) -> None:
    module = GAN(input_shape=(1, 8, 8), latent=10, width=64, optimizer={"learning_rate": 2e-3})
    x = digits[0][:640]
    before = {name: value.detach().clone() for name, value in module.named_parameters()}
    distance = float(energy_distance(module.answer(x).detach(), x, x))
    plain_trainer(max_epochs=15).fit(module, loader(x, digits[1][:640]))
    assert all(not torch.equal(before[name], value) for name, value in module.named_parameters())
    after = module.answer(x).detach()
    assert torch.equal(after, module.answer(x))
    assert float(energy_distance(after, x, x)) < distance


def test_contrastive_divergence_is_its_formula() -> None:
    layer = nn.Linear(3, 2)
    start = layer.weight.detach().clone()
    rbm, v = RBM(layer), torch.tensor([[1.0, 0.0, 0.5], [0.0, 1.0, 0.25]])
    with torch.no_grad():
        before = rbm.hidden(v)
        draw = torch.rand(before.shape, generator=torch.Generator().manual_seed(0))
        again = rbm.visible((draw < before).float())
        after = rbm.hidden(again)
        error = rbm.contrast(v, rate=0.5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        layer.weight.detach(), start + 0.25 * (before.T @ v - after.T @ again)
    )
    torch.testing.assert_close(rbm.visible_bias, 0.25 * (v - again).sum(0))
    torch.testing.assert_close(error, (v - again).square().mean())


def test_pre_training_learns_to_remember_and_hands_its_weights_over(
    digits: tuple[Tensor, Tensor],
) -> None:
    module = PretrainedMLP(input_shape=(1, 8, 8), classes=10, widths=(32, 16), pretrain_epochs=4)
    first = module.network.linears[0].weight.detach().clone()
    last = module.network.linears[-1].weight.detach().clone()
    state = torch.get_rng_state()
    errors = module.pretrain(digits[0][:600])
    assert torch.equal(torch.get_rng_state(), state)
    assert [len(each) for each in errors] == [4, 4]
    assert errors[0][-1] < 0.8 * errors[0][0]
    assert not torch.equal(module.network.linears[0].weight, first)
    assert torch.equal(module.network.linears[-1].weight, last)
    module.objective(*(part[:50] for part in digits)).backward()
    assert float(module.network.linears[0].weight.grad.abs().sum()) > 0


def test_pre_training_starts_where_an_mlp_of_small_weights_does() -> None:
    settings = {"input_shape": (1, 8, 8), "classes": 10, "widths": (32, 16), "seed": 7}
    pretrained = PretrainedMLP(**settings).network.state_dict()
    small = MLP(**settings, init="normal_001").network.state_dict()
    xavier = MLP(**settings, init="xavier_uniform").network.state_dict()
    assert list(pretrained) == list(small)
    for name, value in pretrained.items():
        other = xavier if name.startswith("linears.2") else small
        assert torch.equal(value, other[name]), name


def test_mirrored_crops_are_the_image_moved() -> None:
    x = torch.arange(1.0, 301).reshape(1, 3, 10, 10).expand(64, -1, -1, -1)
    found = mirror_and_crop(x)
    assert found.shape == x.shape
    whole = nn.functional.pad(x[:1], (4, 4, 4, 4))
    crops = {
        tuple(image[..., top : top + 10, left : left + 10].flatten().tolist())
        for image in (whole,)
        for top in range(9)
        for left in range(9)
    }
    flips = {
        tuple(torch.tensor(crop).reshape(3, 10, 10).flip(2).flatten().tolist()) for crop in crops
    }
    moved = [tuple(image.flatten().tolist()) for image in found]
    assert all(image in crops | flips for image in moved)
    # 64 images with 162 outcomes each: some are mirrored, and many differ.
    assert any(image in flips for image in moved)
    assert len(set(moved)) > 30
