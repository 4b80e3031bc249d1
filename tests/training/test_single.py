"""The solo trainer, the reference: reproducible, and equal to a loop written by hand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
import torch

from ablation_lab.data import DATASETS, TrainingData, load
from ablation_lab.study.run import Role, Run, stream
from ablation_lab.training import single
from ablation_lab.training.order import Order
from ablation_lab.training.trained import Trained

MakeRun = Callable[..., Run]
# 60 digits in batches of 16: three steps an epoch, 12 examples left out.
DIGITS: dict[str, Any] = {
    "data": {"name": "digits", "train_size": 60},
    "model": {"family": "mlp", "widths": [8]},
    "training": {"epochs": 3, "batch_size": 16},
}


def data_of(run: Run) -> TrainingData:
    section = run.config["data"]
    return load(section["name"], train_size=section["train_size"])[0]


def train(run: Run) -> Trained:
    return single.train(run, data_of(run), DATASETS.get(run.config["data"]["name"]))


def logits(run: Run) -> list[list[float]]:
    return list(train(run).predict(data_of(run).validation.x).tolist())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": {"name": "adam", "learning_rate": 0.01}},
        {"model__keep_prob": 0.5},
        {"model__init": "lsuv"},
        {"model": {"family": "convnet", "channels": [2], "keep_prob": 0.5}},
    ],
    ids=["sgd", "adam", "dropout", "lsuv", "convnet"],
)
def test_the_same_run_twice_is_the_same_to_the_last_bit(
    make_run: MakeRun, changes: dict[str, Any]
) -> None:
    run = make_run(**{**DIGITS, **changes})
    torch.manual_seed(1)
    first = logits(run)
    torch.manual_seed(2)
    assert logits(run) == first


def test_curves_are_those_of_a_loop_written_by_hand(make_run: MakeRun) -> None:
    run = make_run(**DIGITS)
    data = data_of(run)
    module: Any = single.build_module(run, DATASETS.get("digits"))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    order = Order(examples=60, batch_size=16, seed=stream(0, Role.ORDER, 0))
    x, y = torch.from_numpy(data.train.x), torch.from_numpy(data.train.y)
    costs = []
    for indices in islice(order, 9):
        cost = -torch.log_softmax(module(x[indices]), -1)[range(16), y[indices]].mean()
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        costs.append(cost.item())
    # A point is the mean of the costs before each update of its epoch; the loss adds float32
    # terms in another order than this loop does.
    expected = [(3 * n, sum(costs[3 * n - 3 : 3 * n]) / 3) for n in (1, 2, 3)]
    trained = train(run)
    assert [at for at, _ in trained.curves["train_loss"]] == [at for at, _ in expected]
    for (_, found), (_, cost) in zip(trained.curves["train_loss"], expected, strict=True):
        assert found == pytest.approx(cost, rel=1e-5)
    predicted = module(torch.from_numpy(data.validation.x)).detach().numpy()
    assert trained.predict(data.validation.x) == pytest.approx(predicted, abs=1e-5)
    share = float((predicted.argmax(-1) == data.validation.y).mean())
    assert trained.curves["val_accuracy"][-1] == (9, pytest.approx(share))


def test_training_on_the_printed_loss_differs_only_by_rounding(make_run: MakeRun) -> None:
    printed, stable = (
        train(make_run(**{**DIGITS, "training": {**DIGITS["training"], "loss": loss}}))
        for loss in ("unclipped", "stable")
    )
    assert printed.curves["train_loss"][-1][1] == pytest.approx(
        stable.curves["train_loss"][-1][1], rel=1e-4
    )


@pytest.mark.parametrize("role", [Role.INIT, Role.ORDER, Role.DROPOUT])
def test_every_stream_is_used(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, role: Role
) -> None:
    run = make_run(**DIGITS, model__keep_prob=0.5)
    before = logits(run)
    shift = {role: 1}
    monkeypatch.setattr(single, "stream", lambda s, r, n: stream(s, r, n) + shift.get(r, 0))
    assert logits(run) != before


def test_without_dropout_its_stream_changes_nothing(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(**DIGITS)
    before = logits(run)
    shift = {Role.DROPOUT: 1}
    monkeypatch.setattr(single, "stream", lambda s, r, n: stream(s, r, n) + shift.get(r, 0))
    assert logits(run) == before


def test_replicates_and_seeds_differ(make_run: MakeRun) -> None:
    runs = [make_run(**DIGITS, replicate=n, seed=s) for n in (0, 1) for s in (0, 1)]
    results = [logits(run) for run in runs]
    assert all(results[i] != results[j] for i in range(4) for j in range(i))


def test_cells_share_the_draw_of_a_replicate(make_run: MakeRun) -> None:
    one, other = (
        single.build_module(make_run(model__init=init, replicate=3), DATASETS.get("xor"))
        for init in ("normal", "he_normal")
    )
    # The same draw, scaled by √(2 / fan_in) with two inputs: paired comparisons.
    first = next(one.parameters()).detach() * (2 / 2) ** 0.5
    torch.testing.assert_close(first, next(other.parameters()).detach())


def test_a_loss_that_is_not_finite_stops_the_run_at_its_step(make_run: MakeRun) -> None:
    run = make_run(model__activation="relu", optimizer__learning_rate=1e4, training__steps=20_000)
    trained = train(run)
    assert not trained.finite
    assert trained.nonfinite_step is not None
    assert trained.nonfinite_step <= trained.steps < 20_000
    at, loss = trained.curves["train_loss"][-1]
    assert at == trained.steps
    assert loss != loss  # noqa: PLR0124 - the point of divergence stays in the curve, as NaN


def test_a_full_batch_step_is_gradient_descent_on_all_examples(make_run: MakeRun) -> None:
    run = make_run(training__steps=1)
    module: Any = single.build_module(run, DATASETS.get("xor"))
    part = data_of(run).train
    loss = module.objective(torch.from_numpy(part.x), torch.from_numpy(part.y)).item()
    assert train(run).curves["train_loss"] == ((1, pytest.approx(loss)),)
