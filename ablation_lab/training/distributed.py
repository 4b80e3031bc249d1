"""One run on several devices: Lightning's own data-parallel fit, for models that need it.

Every process has a copy of the module and takes its share of each batch; gradients are averaged, so
that the run is the one that a single device would train. It costs a process for each device, which
only a large model repays.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import distributed
from torch.utils.data import DataLoader

from ablation_lab.data import Dataset, Part, TrainingData
from ablation_lab.study.run import Role, Run, Training, stream
from ablation_lab.training.lightning import Recorder, plain_trainer
from ablation_lab.training.loaders import training_loader
from ablation_lab.training.order import batches
from ablation_lab.training.single import build_module, order_of, prepare
from ablation_lab.training.trained import Trained
from ablation_lab.training.validate import validate_devices
from lightning_modules.families import Learner


def train(run: Run, data: TrainingData, dataset: Dataset, *, devices: int) -> Trained:
    """Train one run on ``devices`` GPUs, or as many processes where there is none.

    Errors: ValueError if a batch cannot be shared equally, or a setting is not for several.
    """
    module = build_module(run, dataset)
    training = Training(**run.config["training"])
    examples = len(data.train)
    validate_devices(training, examples=examples, devices=devices)
    seed = stream(run.seed, Role.ORDER, run.replicate)
    if isinstance(module, Learner):
        # Before the copies are made, so that they agree.
        prepare(module, data.train, order_of(run, training, examples))
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "curves.pt")
        dropout = stream(run.seed, Role.DROPOUT, run.replicate)
        recorder = SharedRecorder(module, data, training, dropout=dropout, told=told)
        trainer = plain_trainer(
            module,
            training,
            callbacks=[recorder],
            devices=devices,
            strategy="ddp_spawn",
            use_distributed_sampler=False,
        )
        trainer.fit(module, datamodule=Shares(data.train, training, seed=seed, devices=devices))
        seen = torch.load(told)
    vars(recorder).update(seen["recorder"])
    trained = recorder.trained(trainer)
    facts = {"devices": str(devices), "backend": seen["backend"]}
    return replace(trained, facts={**trained.facts, **facts})


class Shares(pl.LightningDataModule):
    """The loader of each process, made where it is read: tensors are not sent."""

    def __init__(self, part: Part, training: Training, *, seed: int, devices: int) -> None:
        super().__init__()
        self._part, self._training = part, training
        self._seed, self._devices = seed, devices

    def train_dataloader(self) -> DataLoader[Any]:
        """Return this process's share of each batch."""
        order = batches(self._training, examples=len(self._part), seed=self._seed)
        return training_loader(self._part, order, seed=self._seed, devices=self._devices)


class SharedRecorder(Recorder):
    """The curves of the whole batch; the first process tells them to the one that waits."""

    def __init__(
        self,
        module: pl.LightningModule,
        data: TrainingData,
        training: Training,
        *,
        dropout: int,
        told: Path,
    ) -> None:
        super().__init__(module, data, training)
        self._dropout = dropout
        self._told = told

    def on_fit_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Give every process dropout masks of its own."""
        torch.manual_seed(stream(self._dropout, Role.DROPOUT, trainer.global_rank))

    def _loss_of(self, outputs: Any, trainer: pl.Trainer, module: pl.LightningModule) -> Any:
        """Return the mean loss of all shares, so that all processes stop at the same step."""
        loss = super()._loss_of(outputs, trainer, module)
        return trainer.strategy.reduce(loss.detach().clone(), reduce_op="mean")

    def on_fit_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Write down what the waiting process needs beside the parameters."""
        if trainer.is_global_zero:
            names = ("curves", "steps", "nonfinite_step", "_losses", "_window")
            told = {name: vars(self)[name] for name in names}
            torch.save({"recorder": told, "backend": distributed.get_backend()}, self._told)

    def teardown(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        """Have the processes take leave of each other while all of them are there.

        Lightning leaves that to the end of each interpreter, where a thread that still waits for
        another process aborts its own.
        """
        if distributed.is_initialized():
            distributed.barrier()
            distributed.destroy_process_group()
