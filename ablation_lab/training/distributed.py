"""One run on several devices: Lightning's own data-parallel fit, for models that need it.

Every process has a copy of the module and takes its share of each batch; gradients are averaged, so
that the run is the one that a single device would train. It costs a process for each device, which
only a large model repays.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, distributed

from ablation_lab.data import Dataset, TrainingData
from ablation_lab.study.run import Run, Training
from ablation_lab.study.seeds import Role, stream
from ablation_lab.training.lightning import CurveWriter, lightning_trainer
from ablation_lab.training.order import batches
from ablation_lab.training.schedule import Chunk, chunks
from ablation_lab.training.single import build_module
from ablation_lab.training.trained import Trained, describe, tensors
from ablation_lab.training.validate import validate_devices
from lightning_modules.classifier import Classifier
from lightning_modules.learner import Learner
from lightning_modules.measures import MEASURES
from lightning_modules.task import task_of


def train(run: Run, data: TrainingData, dataset: Dataset, *, devices: int) -> Trained:
    """Train one run on ``devices`` GPUs, or as many processes where there is none.

    Errors: ValueError if a batch cannot be shared equally, or a setting is not for several.
    """
    module = build_module(run, dataset)
    training = Training(**run.config["training"])
    examples = len(data.train)
    validate_devices(training, examples=examples, devices=devices)
    seed = stream(run.seed, Role.ORDER, run.replicate)
    order = partial(batches, training, examples=examples, seed=seed)
    if isinstance(module, Classifier | Learner):
        # Before the copies are made, so that they agree.
        rows = next(iter(order()))
        x = torch.from_numpy(data.train.x)
        module.train()
        module.prepare(x if rows is None else x[rows])
    plan = chunks(training, examples)
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "curves.pt")
        dropout = stream(run.seed, Role.DROPOUT, run.replicate)
        writer = SharedWriter(data, plan, module=module, dropout=dropout, told=told)
        trainer = lightning_trainer(
            max_epochs=len(plan),
            accelerator="auto",
            devices=devices,
            strategy="ddp_spawn",
            callbacks=[writer],
            default_root_dir=folder,
        )
        trainer.fit(module, train_dataloaders=Shares(data, order, plan))
        result = torch.load(told)
    trained = describe(
        module, result["curves"], result["steps"], result["nonfinite_step"], torch.device("cpu")
    )
    facts = {"devices": str(devices), "backend": result["backend"]}
    return Trained(**{**vars(trained), "facts": {**trained.facts, **facts}})


class Shares:
    """Each process's part of the batches of one chunk: every ``world``-th row from its rank on."""

    def __init__(self, data: TrainingData, order: Any, plan: list[Chunk]) -> None:
        self._data = data
        self._order = order
        self._chunks = plan
        # Made in the process that takes them: an iterator cannot be sent.
        self._batches: Iterator[Tensor | None] | None = None
        self._plan: Iterator[Chunk] = iter(())

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the shares of the next chunk: one Lightning epoch."""
        if self._batches is None:
            self._batches, self._plan = iter(self._order()), iter(self._chunks)
        x, y = tensors(self._data.train, torch.device("cpu"))
        rank, world = distributed.get_rank(), distributed.get_world_size()
        for _ in range(next(self._plan).steps):
            rows = next(self._batches)
            own = slice(rank, None, world) if rows is None else rows[rank::world]
            yield x[own], y[own]


class SharedWriter(CurveWriter):
    """The curves of the whole batch; the first process tells them to the one that waits."""

    def __init__(
        self,
        data: TrainingData,
        plan: list[Chunk],
        *,
        module: pl.LightningModule,
        dropout: int,
        told: Path,
    ) -> None:
        super().__init__(data, plan, *MEASURES[task_of(module)])
        self._dropout = dropout
        self._told = told

    def on_fit_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Give every process dropout masks of its own."""
        torch.manual_seed(stream(self._dropout, Role.DROPOUT, trainer.global_rank))

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, _: int
    ) -> None:
        """Note the mean loss of all shares, so that all processes stop at the same step."""
        loss = outputs["loss"].detach().clone()
        whole = trainer.strategy.reduce(loss, reduce_op="mean")
        super().on_train_batch_end(trainer, module, whole, batch, _)

    def on_fit_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write down what the waiting process needs beside the parameters."""
        if trainer.is_global_zero:
            result = {
                "curves": self.curves,
                "steps": self.steps,
                "nonfinite_step": self.nonfinite_step,
                "backend": distributed.get_backend(),
            }
            torch.save(result, self._told)

    def teardown(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        """Have the processes take leave of each other while all of them are there.

        Lightning leaves that to the end of each interpreter, where a thread that still waits for
        another process aborts its own.
        """
        if distributed.is_initialized():
            distributed.barrier()
            distributed.destroy_process_group()
