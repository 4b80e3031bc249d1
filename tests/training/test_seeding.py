"""Everything that can draw is seeded from the run's own streams before a module is built."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from ablation_lab.engines.local import LocalEngine
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.training.execute import execute
from tests.training.own_modules import Reckless, registered

MakeRun = Callable[..., Run]
pytestmark = pytest.mark.usefixtures("_own_modules")
PLUGINS = ("tests.training.own_plugin",)
RECKLESS: dict[str, Any] = {
    "data": {"name": "digits", "train_size": 60},
    "model": {"family": "test_reckless"},
    "training": {"epochs": 2, "batch_size": 20},
}


def stacks(make_run: MakeRun, count: int) -> list[Stack]:
    runs = [make_run(**RECKLESS, replicate=n) for n in range(count)]
    return [Stack((run,), TrainerName.SINGLE, "r") for run in runs]


def result(records: list[Record]) -> Any:
    (record,) = records
    assert record.status is Status.FINISHED, record.error
    return record.curves, record.metrics


def test_a_module_that_ignores_its_seed_gives_the_same_after_any_draws(make_run: MakeRun) -> None:
    (stack,) = stacks(make_run, 1)
    found = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        found.append(result(execute(stack)))
    assert found[0] == found[1]


def test_its_replicates_differ(make_run: MakeRun) -> None:
    one, other = (result(execute(stack)) for stack in stacks(make_run, 2))
    assert one != other


@pytest.mark.slow
def test_it_gives_the_same_on_one_worker_and_on_two(make_run: MakeRun) -> None:
    found: list[dict[int, Any]] = []
    for workers in (1, 2):
        jobs = [replace(stack, plugins=PLUGINS) for stack in stacks(make_run, 4)]
        with LocalEngine(workers=workers) as engine:
            found.append(
                {
                    done.job.runs[0].replicate: result(done.result or [])
                    for done in engine.map(execute, jobs)
                }
            )
    assert found[0] == found[1]


class Meddling(Reckless):
    """Sets what holds for the whole process, as many examples of Lightning do."""

    def __init__(self, **settings: Any) -> None:
        pl.seed_everything(7, workers=True, verbose=False)
        torch.use_deterministic_algorithms(True)
        torch.set_default_dtype(torch.float64)
        torch.autograd.set_detect_anomaly(True)
        np.seterr(all="raise")
        super().__init__(**settings)
        self.float()


def test_a_module_leaves_nothing_behind_for_the_next_run(make_run: MakeRun) -> None:
    found = []
    (stack,) = stacks(make_run, 1)
    with registered([Meddling]):
        meddling = make_run(**{**RECKLESS, "model": {"family": "test_meddling"}})
        for before in (False, True):
            if before:
                result(execute(replace(stack, runs=(meddling,))))
            found.append(result(execute(stack)))
            assert torch.get_default_dtype() is torch.float32
            assert not torch.are_deterministic_algorithms_enabled()
            assert not torch.is_anomaly_enabled()
            assert "PL_GLOBAL_SEED" not in os.environ
            assert np.geterr()["over"] != "raise"
    assert found[0] == found[1]
