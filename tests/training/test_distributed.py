"""One run on two processes is the run that one process trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from ablation_lab.data import DATASETS, load
from ablation_lab.study.run import Run
from ablation_lab.training import distributed, single

MakeRun = Callable[..., Run]
SETTINGS: dict[str, Any] = {
    "data": {"name": "digits", "train_size": 200},
    "model__widths": [12],
    "model__init": "lsuv",
    "training": {"epochs": 3, "batch_size": 20, "loss": "stable", "l2": 0.001},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_two_processes_train_the_run_of_one(make_run: MakeRun) -> None:
    run, dataset = make_run(**SETTINGS), DATASETS.get("digits")
    data, test = load("digits", train_size=200)
    shared = distributed.train(run, data, dataset, devices=2)
    alone = single.train(run, data, dataset)
    assert shared.facts["devices"] == "2"
    assert shared.facts["backend"] == ("nccl" if torch.cuda.is_available() else "gloo")
    assert (shared.steps, shared.parameters, shared.finite) == (alone.steps, alone.parameters, True)
    for name in ("train_loss", "val_accuracy"):
        steps, expected = ([step for step, _ in each.curves[name]] for each in (shared, alone))
        assert steps == expected
        for (_, one), (_, other) in zip(shared.curves[name], alone.curves[name], strict=True):
            # The halves of a batch are summed in another order: float32 rounding, for 30 steps.
            assert one == pytest.approx(other, rel=1e-4)
    assert shared.predict(test.x) == pytest.approx(alone.predict(test.x), rel=1e-3, abs=1e-3)


def test_a_batch_that_cannot_be_shared_is_refused(make_run: MakeRun) -> None:
    data, dataset = load("digits")[0], DATASETS.get("digits")
    with pytest.raises(ValueError, match="batch_size: 20 examples cannot be shared equally by 3"):
        distributed.train(make_run(**SETTINGS), data, dataset, devices=3)
    fewer = make_run(**SETTINGS, training__precision="bf16")
    with pytest.raises(ValueError, match="'bf16' is for a run on one device"):
        distributed.train(fewer, data, dataset, devices=2)
