"""The trainer of runs whose recipe has a schedule of its own.

Comes in: a run whose training section says ``remainder: keep``, so that the last batch of an epoch
is a smaller one, or names ``points`` of its curves. Else it is the solo trainer's loop. The cost
that an epoch writes is the mean over its batches, each counted once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from ablation_lab.data import Dataset, TrainingData
from ablation_lab.study.run import Run, Training
from ablation_lab.study.seeds import Role, stream
from ablation_lab.training.evaluation import describe
from ablation_lab.training.lightning import lightning_trainer
from ablation_lab.training.order import BatchIndices, batches
from ablation_lab.training.resident import ResidentLoop
from ablation_lab.training.rules import Rules
from ablation_lab.training.schedule import planned
from ablation_lab.training.solo import build_module
from ablation_lab.training.trained import Trained
from lightning_modules.classifier import Classifier
from lightning_modules.learner import Learner


class WholeOrder:
    """The examples of each step: those of ``Order``, and at the end of an epoch the rest."""

    def __init__(self, *, examples: int, batch_size: int, seed: int) -> None:
        self.examples = examples
        self.batch_size = batch_size
        self._generator = torch.Generator().manual_seed(seed)

    def __iter__(self) -> Iterator[Tensor]:
        """Yield the indices of every batch, without end."""
        while True:
            permutation = torch.randperm(self.examples, generator=self._generator)
            yield from permutation.split(self.batch_size)


def train(run: Run, data: TrainingData, dataset: Dataset) -> Trained:
    """Train one run, whose module is none that Lightning fits by itself."""
    module = build_module(run, dataset)
    assert isinstance(module, Classifier | Learner), "refused before anything trains"
    torch.manual_seed(stream(run.seed, Role.DROPOUT, run.replicate))
    training = Training(**run.config["training"])
    order = _order(training, len(data.train), stream(run.seed, Role.ORDER, run.replicate))
    plan = planned(training, len(data.train))
    loop = ResidentLoop(module, data, order, plan, Rules(training))
    trainer = lightning_trainer(max_epochs=1, accelerator="auto", devices=1)
    trainer.fit(loop, train_dataloaders=range(len(plan)))
    loop.rules.give_back(module)
    device = trainer.strategy.root_device
    return replace(
        describe(module, loop.curves, loop.steps, loop.nonfinite_step, device),
        selected_step=loop.rules.selected_step,
    )


def _order(training: Training, examples: int, seed: int) -> BatchIndices:
    if training.remainder is None or training.batch_size is None:
        return batches(training, examples=examples, seed=seed)
    return WholeOrder(examples=examples, batch_size=training.batch_size, seed=seed)
