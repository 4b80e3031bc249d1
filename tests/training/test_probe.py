"""The probe: runs are as without it, alone and in a stack, and what it sees is what a run has."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ablation_lab.data import DATASETS, load
from ablation_lab.study.key import run_key
from ablation_lab.study.record import Probed
from ablation_lab.study.run import Role, Run, Stack, TrainerName, Training, stream
from ablation_lab.training import single, stacked
from ablation_lab.training.execute import execute
from ablation_lab.training.order import batches
from ablation_lab.training.plan import plan
from ablation_lab.training.probe import Probe
from ablation_lab.training.trained import Trained
from ablation_lab.training.validate import validate_stack
from lightning_modules.layers import layers_of

MLP: dict[str, Any] = {
    "family": "mlp", "widths": [6, 5], "activation": "relu", "init": "lsuv", "bias_init": "zeros",
    "keep_prob": 0.7,
}  # fmt: skip


def run(data: str = "digits", model: dict[str, Any] = MLP, **training: Any) -> Run:
    config = {
        "model": model,
        "data": {"name": data, "train_size": None},
        "optimizer": {"name": "adam", "learning_rate": 0.01},
        "training": {"epochs": None, "steps": 30, "batch_size": 20, "loss": "stable", "l2": 0.0}
        | {"probe": True}
        | training,
    }
    return Run("study", "quick", "cell", 0, "key", 7, config, {})


def watched(looked: Run) -> tuple[Trained, Probed]:
    name = looked.config["data"]["name"]
    data, _ = load(name)
    trained = single.train(looked, data, DATASETS.get(name), Probe())
    assert trained.probed is not None
    return trained, trained.probed


@pytest.mark.parametrize("init", ["lsuv", "normal"])
def test_looking_changes_nothing(init: str) -> None:
    """With dropout and a data-dependent initialisation, which both draw numbers."""
    looked = run(model=MLP | {"init": init})
    data, test = load("digits")
    alone = single.train(looked, data, DATASETS.get("digits"))
    seen, probed = watched(looked)
    assert seen.curves == alone.curves
    assert (seen.steps, seen.parameters, seen.finite) == (alone.steps, alone.parameters, True)
    np.testing.assert_array_equal(seen.predict(test.x), alone.predict(test.x))
    steps = [point.step for point in probed.layers if point.layer == "layer_1"]
    assert steps == [0, *(step for step, _ in alone.curves["train_loss"])]


def test_the_first_look_is_at_the_weights_that_the_first_step_finds() -> None:
    """LSUV scales them with the first batch, so they are not those that were drawn."""
    looked = run()
    data, _ = load("digits")
    module = single.build_module(looked, DATASETS.get("digits"))
    drawn = [float(layer.weight.detach().norm()) for _, _, layer in layers_of(module.network)]
    training = Training(**looked.config["training"])
    seed = stream(looked.seed, Role.ORDER, looked.replicate)
    first = next(iter(batches(training, examples=len(data.train), seed=seed)))
    # The masks of its dropout are those of the device that trains.
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    module.to(device).prepare(torch.from_numpy(data.train.x)[first].to(device))
    found = [float(layer.weight.detach().norm()) for _, _, layer in layers_of(module.network)]
    _, probed = watched(looked)
    seen = [point.numbers["weight_norm"] for point in probed.layers if point.step == 0]
    assert seen == pytest.approx(found)
    assert seen != pytest.approx(drawn)


def test_a_record_carries_norms_as_curves_and_everything_as_text() -> None:
    (record,) = execute(plan([run()], data_root=None, plugins=())[0])
    assert record.trainer is TrainerName.STACKED
    assert [name for name in record.curves if "/" in name] == [
        f"{quantity}_norm/layer_{number}"
        for quantity in ("gradient", "weight")
        for number in (1, 2, 3)
    ]
    kept = json.loads(record.probed)
    assert kept["surface"] is None
    histogram = kept["layers"][0]["histograms"]["weight"]
    assert sum(histogram["counts"]) == 64 * 6
    assert histogram["low"] < 0 < histogram["high"]


def test_two_inputs_give_the_surface_of_the_answer() -> None:
    model = MLP | {"init": "xavier_uniform", "keep_prob": 1.0, "activation": "tanh"}
    looked = run("xor", model, batch_size=None, steps=400)
    trained, probed = watched(looked)
    surface = probed.surface
    assert surface is not None
    assert (surface.low, surface.high) == ((-0.25, -0.25), (1.25, 1.25))
    values = np.array(surface.values)
    corners = values[[10, 50, 10, 50], [10, 10, 50, 50]]  # (0,0), (0,1), (1,0), (1,1)
    logits = trained.predict(np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)).ravel()
    np.testing.assert_allclose(corners, 1 / (1 + np.exp(-logits)), atol=1e-4)
    assert {(x, y): label for x, y, label in surface.examples}[1.0, 0.0] == 1


def test_a_run_that_diverges_keeps_what_was_seen() -> None:
    model = MLP | {"init": "normal", "keep_prob": 1.0}
    looked = run("xor", model, batch_size=None, loss="unclipped", steps=300)
    config = {**looked.config, "optimizer": {**looked.config["optimizer"], "learning_rate": 1e30}}
    wild = Run("study", "quick", "cell", 0, "key", 7, config, {})
    (record,) = execute(plan([wild], data_root=None, plugins=())[0])
    assert record.error == ""
    assert record.not_converged == "non_finite"
    assert "NaN" not in record.probed
    assert "Infinity" not in record.probed


def test_the_key_says_that_a_run_is_probed() -> None:
    plainly = {**run().config, "training": {**run().config["training"], "probe": False}}
    assert run_key(run().config, 0, 0) != run_key(plainly, 0, 0)


def test_a_module_that_trains_by_itself_is_refused_before_anything_trains() -> None:
    gan = {"family": "gan", "latent": 4, "width": 4, "init": "he_normal", "bias_init": "zeros"}
    stack = Stack((run(model=gan),), TrainerName.SINGLE, "", None)
    assert "study/study.yaml: cell:" in validate_stack(stack)
    assert "training.probe" in validate_stack(stack)


ADAM = {"name": "adam", "learning_rate": 0.01}
DESCENT = {"name": "sgd", "learning_rate": 0.5}
PLAIN = MLP | {"init": "xavier_uniform", "keep_prob": 1.0, "activation": "tanh"}


@pytest.mark.parametrize(
    ("data", "model", "optimizer", "training"),
    [
        ("digits", PLAIN | {"init": "lsuv"}, ADAM, {}),
        ("digits", PLAIN, ADAM, {"patience": 2, "epochs": 8, "steps": None, "batch_size": 200}),
        ("xor", PLAIN, ADAM, {"batch_size": None, "steps": 200}),
        ("xor", PLAIN, DESCENT, {"batch_size": None, "steps": 200}),
        ("xor", PLAIN | {"widths": []}, DESCENT, {"batch_size": None, "steps": 20}),
    ],
)
def test_a_stack_sees_in_its_runs_what_each_has_alone(
    data: str, model: dict[str, Any], optimizer: dict[str, Any], training: dict[str, Any]
) -> None:
    one = run(data, model, **training)
    one = replace(one, config={**one.config, "optimizer": optimizer})
    runs = [replace(one, replicate=number) for number in range(3)]
    examples, _ = load(data)
    dataset = DATASETS.get(data)
    plainly = stacked.train(runs, examples, dataset)
    together = stacked.train(runs, examples, dataset, Probe)
    for each, unseen, seen in zip(runs, plainly, together, strict=True):
        assert seen.curves == unseen.curves
        _, alone = watched(each)
        assert seen.probed is not None
        assert len(seen.probed.layers) == len(alone.layers)
        for here, there in zip(seen.probed.layers, alone.layers, strict=True):
            assert (here.step, here.layer) == (there.step, there.layer)
            assert here.numbers == pytest.approx(there.numbers, rel=2e-3, abs=1e-5)
            for name, histogram in here.histograms.items():
                assert sum(histogram.counts) == sum(there.histograms[name].counts)
        assert (seen.probed.surface is None) == (alone.surface is None)


def test_probed_runs_share_stacks_where_others_would() -> None:
    runs = [replace(run(), replicate=number) for number in range(3)]
    (stack,) = plan(runs, data_root=None, plugins=())
    assert (stack.trainer, len(stack.runs)) == (TrainerName.STACKED, 3)
    alone = [replace(run(shuffle=False), replicate=number) for number in range(2)]
    stacks = plan(alone, data_root=None, plugins=(), devices=2)
    assert [(each.trainer, each.devices) for each in stacks] == [(TrainerName.SINGLE, 1)] * 2
    records = execute(stacks[0])
    assert records[0].probed
