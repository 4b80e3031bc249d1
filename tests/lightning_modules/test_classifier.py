"""What every classifier does: L2, LSUV on the first batch, logging, checkpoints."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lightning_modules.convnet import ConvNet
from lightning_modules.layers import layers_of
from lightning_modules.mlp import MLP

# Lightning's own advice, and its use of what torch has deprecated.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.:FutureWarning"),
]


Loader = Callable[..., DataLoader]
Trainer = Callable[..., pl.Trainer]


def mlp(**settings: object) -> MLP:
    return MLP(**({"input_shape": (1, 8, 8), "classes": 10, "widths": (32, 24)} | settings))


def test_l2_is_the_sum_of_squared_weights_without_biases(digits: tuple[Tensor, Tensor]) -> None:
    x, y = digits[0][:50], digits[1][:50]
    plain, squared = mlp(bias_init="normal"), mlp(bias_init="normal", l2=0.01)
    weights = sum(float(p.detach().square().sum()) for p in plain.parameters() if p.ndim > 1)
    difference = float((squared.objective(x, y) - plain.objective(x, y)).detach())
    assert difference == pytest.approx(0.01 * weights, rel=1e-4)


def test_l2_adds_nothing_to_the_gradient_of_biases(digits: tuple[Tensor, Tensor]) -> None:
    x, y = digits[0][:50], digits[1][:50]
    plain, squared = mlp(bias_init="normal"), mlp(bias_init="normal", l2=0.01)
    for each in (plain, squared):
        each.objective(x, y).backward()
    for a, b in zip(plain.parameters(), squared.parameters(), strict=True):
        expected = a.grad + 2 * 0.01 * a.detach() if a.ndim > 1 else a.grad
        torch.testing.assert_close(b.grad, expected)


def test_training_step_works_without_a_trainer(digits: tuple[Tensor, Tensor]) -> None:
    x, y = digits[0][:50], digits[1][:50]
    each = mlp()
    torch.testing.assert_close(each.training_step((x, y), 0), each.objective(x, y))


def test_what_is_logged(
    digits: tuple[Tensor, Tensor], loader: Loader, plain_trainer: Trainer
) -> None:
    x, y = digits[0][:128], digits[1][:128]
    each = mlp()
    trainer = plain_trainer(max_epochs=1)
    trainer.fit(each, loader(x, y), loader(x, y))
    assert set(trainer.callback_metrics) == {"train_loss", "val_loss", "val_accuracy"}
    validated = float(trainer.callback_metrics["val_accuracy"])
    assert set(trainer.test(each, loader(x, y), verbose=False)[0]) == {"test_accuracy"}
    assert float(trainer.callback_metrics["test_accuracy"]) == pytest.approx(validated)


def test_train_loss_is_the_mean_cost_of_the_batches_before_each_update(
    digits: tuple[Tensor, Tensor],
    loader: Loader,
    plain_trainer: Trainer,
) -> None:
    x, y = digits[0][:128], digits[1][:128]
    settings = {"name": "sgd", "learning_rate": 0.5}
    fitted, by_hand = mlp(optimizer=settings), mlp(optimizer=settings)
    trainer = plain_trainer(max_epochs=1)
    trainer.fit(fitted, loader(x, y))
    optimizer = by_hand.configure_optimizers()
    costs = []
    for batch in loader(x, y):
        loss = by_hand.objective(*batch)
        costs.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(trainer.callback_metrics["train_loss"]) == pytest.approx(sum(costs) / len(costs))
    for a, b in zip(fitted.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("loss", ["unclipped", "stable"])
def test_a_loss_that_is_not_finite_does_not_stop_the_fit(
    loss: str, digits: tuple[Tensor, Tensor], loader: Loader, plain_trainer: Trainer
) -> None:
    settings = {"name": "sgd", "learning_rate": 1e4}
    each = mlp(loss=loss, init="normal", optimizer=settings)
    trainer = plain_trainer(max_epochs=3)
    trainer.fit(each, loader(*digits))
    assert trainer.global_step == 3 * 29
    assert trainer.callback_metrics["train_loss"].isfinite() == (loss == "stable")


def weights(module: pl.LightningModule) -> list[Tensor]:
    return [layer.weight.detach().clone() for _, _, layer in layers_of(module.network)]


def test_prepare_scales_once_and_only_for_lsuv(digits: tuple[Tensor, Tensor]) -> None:
    x = digits[0][:100]
    ordinary, each = mlp(init="orthonormal"), mlp(init="lsuv")
    start = weights(ordinary)
    ordinary.prepare(x)
    each.prepare(x)
    once = weights(each)
    each.prepare(2 * x)
    for before, same, first, second in zip(
        start, weights(ordinary), once, weights(each), strict=True
    ):
        assert torch.equal(before, same)
        assert not torch.equal(before, first)
        assert torch.equal(first, second)


def test_a_plain_fit_prepares_with_its_first_batch(
    digits: tuple[Tensor, Tensor], loader: Loader, plain_trainer: Trainer
) -> None:
    x, y = digits[0][:128], digits[1][:128]
    # A learning rate that cannot move a float32 weight: only LSUV changes anything.
    settings = {"name": "sgd", "learning_rate": 1e-30}
    fitted, by_hand = (mlp(init="lsuv", optimizer=settings, keep_prob=0.7) for _ in range(2))
    plain_trainer(max_epochs=2).fit(fitted, loader(x, y))
    by_hand.prepare(x[:64])
    for a, b in zip(weights(fitted), weights(by_hand), strict=True):
        assert torch.equal(a, b)


def test_only_the_dense_layers_are_prepared_if_only_they_are_lsuv(
    digits: tuple[Tensor, Tensor],
) -> None:
    each = ConvNet(
        input_shape=(1, 8, 8), classes=10, channels=(4,), init="normal_001", dense_init="lsuv"
    )
    convolution, dense = weights(each)
    each.prepare(digits[0][:100])
    assert torch.equal(each.network.convolutions[0].weight, convolution)
    assert not torch.equal(each.network.linears[0].weight, dense)


def test_resumed_training_does_not_prepare_again(
    tmp_path: Path, digits: tuple[Tensor, Tensor], loader: Loader, plain_trainer: Trainer
) -> None:
    x, y = digits[0][:128], digits[1][:128]
    each = mlp(init="lsuv")
    trainer = plain_trainer(max_epochs=1)
    trainer.fit(each, loader(x, y))
    path = tmp_path / "last.ckpt"
    trainer.save_checkpoint(path)
    frozen = {"name": "sgd", "learning_rate": 1e-30}
    resumed = mlp(init="lsuv", optimizer=frozen)
    checkpoint = torch.load(path, weights_only=True)
    resumed.load_state_dict(checkpoint["state_dict"])
    resumed.on_load_checkpoint(checkpoint)
    plain_trainer(max_epochs=1).fit(resumed, loader(x, y))
    for a, b in zip(weights(each), weights(resumed), strict=True):
        assert torch.equal(a, b)


def test_a_classifier_can_be_pickled(digits: tuple[Tensor, Tensor]) -> None:
    each = ConvNet(input_shape=(1, 8, 8), classes=10, channels=(4,), activation="maxout")
    copy = pickle.loads(pickle.dumps(each))
    x = digits[0][:4]
    assert torch.equal(each.eval()(x), copy.eval()(x))


def test_impossible_l2() -> None:
    with pytest.raises(ValueError, match="l2: expected a finite number >= 0, found -1"):
        mlp(l2=-1)
