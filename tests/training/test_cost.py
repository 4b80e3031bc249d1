"""What a run costs: counted weights, and seconds that grow with the work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ablation_lab.data import DATASETS
from ablation_lab.study.networks import SIZES, UNKNOWN, size
from ablation_lab.study.run import Run
from ablation_lab.training.cost import estimate, estimate_on_a_card, memory_of_run
from ablation_lab.training.single import build_module
from lightning_modules.registry import FAMILIES

MakeRun = Callable[..., Run]
MAXOUT = {"activation": "maxout"}


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({"model__widths": [10, 10, 10]}, 2 * 10 + 10 * 10 + 10 * 10 + 10),
        ({"model": {"family": "linear"}}, 2),
        (
            {"model__widths": [256, 256], "data__name": "mnist"},
            784 * 256 + 256 * 256 + 256 * 10,
        ),
    ],
)
def test_dense_weights(make_run: MakeRun, changes: dict[str, Any], count: int) -> None:
    found = size(make_run(**changes).config)
    assert found.weights == found.multiply_adds == count


@pytest.mark.parametrize(
    ("model", "data"),
    [
        ({"family": "mlp", "widths": [8, 6], **MAXOUT}, "digits"),
        ({"family": "linear"}, "digits"),
        ({"family": "rbm_mlp", "widths": [8, 6]}, "digits"),
        ({"family": "torch_mlp", "widths": [8, 6], **MAXOUT}, "digits"),
        ({"family": "linear_regression"}, "ramp"),
        ({"family": "lstm"}, "ramp"),
        ({"family": "char_rnn"}, "hihello"),
        ({"family": "autoencoder", "widths": [8, 3]}, "digits"),
        ({"family": "gan", "width": 7, "latent": 5}, "digits"),
        ({"family": "convnet", "channels": [3, 4], "dense": [5]}, "digits"),
        ({"family": "fitnet"}, "digits"),
        ({"family": "fitnet", "stages": [[4, 4], [5], [6]], "units": 8, **MAXOUT}, "digits"),
        ({"family": "resnet"}, "digits"),
    ],
)
def test_weights_are_those_of_the_module(
    make_run: MakeRun, model: dict[str, Any], data: str
) -> None:
    run = make_run(model=model, data__name=data, training__loss="stable")
    module = build_module(run, DATASETS.get(data))
    trained = sum(value.numel() for value in module.parameters() if value.dim() > 1)
    assert size(run.config).weights == trained
    assert memory_of_run(run.config) > 16 * trained


def test_every_built_in_family_is_known_or_guessed_on_purpose(make_run: MakeRun) -> None:
    # What a reduction costs is found before the first step.
    assert set(FAMILIES.names()) - set(SIZES) == {"reduced"}
    config = {**make_run().config, "model": {"family": "somebody's"}}
    assert size(config) == UNKNOWN


def test_weights_that_are_used_at_every_step_or_position(make_run: MakeRun) -> None:
    for family, data, steps in [("lstm", "ramp", 5), ("char_rnn", "hihello", 6)]:
        found = size(make_run(model={"family": family}, data__name=data).config)
        assert found.multiply_adds == steps * found.weights
    config = make_run(model={"family": "convnet"}, data__name="mnist").config
    first, second = 28 * 28 * 1 * 32 * 9, 14 * 14 * 32 * 64 * 9
    assert size(config).multiply_adds == first + second + 7 * 7 * 64 * 10
    # ResNet-20 on images of 32 x 32: about 41 million (He et al., 2016, section 4.2).
    config = make_run(model={"family": "resnet"}, data__name="cifar10_gcn").config
    assert size(config).multiply_adds == pytest.approx(41e6, rel=0.02)


def test_a_card_takes_about_as_long_as_one_was_seen_to_take(make_run: MakeRun) -> None:
    """Seconds that an H200 took for whole fits; the estimate is to be within a factor of three."""
    fits = {"epochs": 15, "batch_size": 100, "loss": "stable"}
    mnist: dict[str, Any] = {"data__name": "mnist", "training": fits}
    mlp = make_run(**mnist, model={"family": "mlp", "widths": [256, 256]})
    cnn = make_run(**mnist, model={"family": "convnet", "channels": [32, 64]})
    for run, runs, seen in [(mlp, 1000, 85.0), (mlp, 10, 2.4), (cnn, 7, 36.0)]:
        found = estimate_on_a_card(run.config, runs=runs, replayed=True)
        assert seen / 3 < found < 3 * seen


def test_a_run_by_itself_takes_a_card_longer_than_one_that_is_replayed(make_run: MakeRun) -> None:
    config = make_run(training__steps=10_000).config
    alone, replayed = (estimate_on_a_card(config, runs=1, replayed=way) for way in (False, True))
    assert alone > 3 * replayed


def test_more_work_takes_longer(make_run: MakeRun) -> None:
    base = estimate(make_run().config, runs=1)
    assert estimate(make_run(training__steps=200).config, runs=1) > base
    assert estimate(make_run(model__widths=[500]).config, runs=1) > base
    assert estimate(make_run().config, runs=1000) > base
    # Together they take less than one by one: that is what a stack is for.
    assert estimate(make_run().config, runs=1000) < 1000 * base
