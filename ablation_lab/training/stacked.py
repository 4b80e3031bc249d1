"""The stacked trainer: K runs of equal shape as one tensor program under ``pl.Trainer``.

Every run keeps its own initial draw (that of its module alone, bit for bit), its own order of
examples and its own losses; no operation mixes runs. A run that leaves the finite numbers is
frozen at the end of the chunk in which it did, where a single run stops, and one whose patience is
at its end at that point of its curve.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray

from ablation_lab.data import Dataset, TrainingData
from ablation_lab.study.run import Run, Training
from ablation_lab.study.stacking import descends_innermost, is_own_stack
from ablation_lab.training.descent import Descent
from ablation_lab.training.in_memory import Loop, Watch, train_together
from ablation_lab.training.minibatch import MiniBatch
from ablation_lab.training.schedule import total_steps
from ablation_lab.training.single import build_module, order_of, prepare
from ablation_lab.training.trained import EVALUATION_BATCH, Predict, Trained
from lightning_modules.families import Classifier, Learner
from lightning_modules.task import task_of

Watching = Callable[[], Watch]


def train(
    runs: list[Run], data: TrainingData, dataset: Dataset, watching: Watching = Watch
) -> list[Trained]:
    """Train runs that the plan put together, each program under a watch of its own.

    A stack that does not fit the accelerator's memory is trained in halves; a single run that does
    not fit is an error like any other.
    """
    try:
        return _train_together(runs, data, dataset, watching())
    except torch.OutOfMemoryError:
        if len(runs) == 1:
            raise
    # Outside the except clause, whose traceback would keep the tensors alive.
    half = len(runs) // 2
    parts = runs[:half], runs[half:]
    return [trained for part in parts for trained in train(part, data, dataset, watching)]


def _train_together(
    runs: list[Run], data: TrainingData, dataset: Dataset, watch: Watch
) -> list[Trained]:
    training = Training(**runs[0].config["training"])
    program = program_of(runs, data, dataset)
    loop = train_together(program, data, training, watch)
    return [_trained(loop, program, watch, index) for index in range(len(runs))]


def program_of(runs: list[Run], data: TrainingData, dataset: Dataset) -> Descent | MiniBatch:
    """Return the runs as one program, each with the parameters that it starts from."""
    training, examples = Training(**runs[0].config["training"]), len(data.train)
    modules = [_module(run, data, dataset, training) for run in runs]
    if descends_innermost(runs[0].config):
        classifiers = [module for module in modules if isinstance(module, Classifier)]
        return Descent(runs, classifiers, total_steps(training, examples))
    return MiniBatch(runs, modules, examples=examples, training=training)


def _module(
    run: Run, data: TrainingData, dataset: Dataset, training: Training
) -> pl.LightningModule:
    """Build one run's module; LSUV sees the first batch of the run's own order."""
    module = build_module(run, dataset)
    if not isinstance(module, Learner):
        if is_own_stack(family := run.config["model"]["family"]):
            return module
        raise TypeError(f"family {family!r} does not stack; its runs train alone")
    prepare(module, data.train, order_of(run, training, len(data.train)))
    return module


def _trained(loop: Loop, program: Descent | MiniBatch, watch: Watch, index: int) -> Trained:
    predict = _predictor(program, index, loop.device)
    parameters = program.of_run(index)[: program.parameters_of_one]
    step = loop.nonfinite_step.get(index)
    return Trained(
        curves={name: tuple(points) for name, points in loop.curves[index].items()},
        steps=loop.stopped.get(index, loop.steps),
        parameters=sum(value.numel() for value in parameters),
        finite=step is None and all(bool(value.isfinite().all()) for value in parameters),
        nonfinite_step=step,
        predict=predict,
        task=task_of(program),
        selected_step=loop.rules.selected_step.get(index),
        probed=watch.seen(index, predict),
        facts={
            "device": str(loop.device),
            "stack_size": str(program.size),
            **program.facts(),
        },
    )


def _predictor(program: Descent | MiniBatch, index: int, device: torch.device) -> Predict:
    def predict(x: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = torch.from_numpy(x).split(EVALUATION_BATCH)
        with torch.no_grad():
            logits = [program.one(index, part.to(device)) for part in parts]
        values: NDArray[np.float32] = torch.cat(logits).float().cpu().numpy()
        return values

    return predict
