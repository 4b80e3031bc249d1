"""What a worker does to tune: train one run and measure it on validation. No test set is read in.

Comes in: a stack of one run. Goes out: the value of its validation curve in the selected state.
"""

from __future__ import annotations

import importlib
import math
from functools import lru_cache
from pathlib import Path

from ablation_lab.data import DATASETS, TrainingData, load
from ablation_lab.study.run import Stack, TrainerName


def on_validation(stack: Stack) -> float:
    """Train the stack's run; return its validation accuracy, or loss or distance by its task.

    NaN where a loss or parameter did not stay finite.
    """
    from ablation_lab.training import own_schedule, solo

    for name in stack.plugins:
        importlib.import_module(name)
    (run,) = stack.runs
    section = run.config["data"]
    data = _training_data(section["name"], stack.data_root, section["train_size"])
    train = own_schedule.train if stack.trainer is TrainerName.OWN_SCHEDULE else solo.train
    trained = train(run, data, DATASETS.get(section["name"]))
    (curve,) = (points for name, points in trained.curves.items() if name.startswith("val_"))
    if not trained.finite:
        return math.nan
    return dict(curve)[trained.selected_step or curve[-1][0]]


@lru_cache(maxsize=2)
def _training_data(name: str, root: str | None, train_size: int | None) -> TrainingData:
    training, _ = load(name, Path(root) if root else None, train_size=train_size)
    return training
