"""Fit cases by a plain ``pl.Trainer``: the truth that the lab is held against.

Called as ``python -m truth_modules.plain``, with the seeds of each case as JSON on standard input;
what became of a module, and what it logged, is written into the folder that TRUTH_KEPT names.
"""

from __future__ import annotations

import json
import logging
import os
import random
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers.logger import DummyLogger
from pytorch_lightning.utilities.model_helpers import is_overridden
from pytorch_lightning.utilities.seed import isolate_rng
from torch.utils.data import DataLoader, Sampler, TensorDataset

from .arrays import ARRAYS
from .case import CASES, Case
from .told import KEPT

# What the lab says to every trainer, unless a study says otherwise.
QUIET: dict[str, Any] = {
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "devices": 1,
}
Seeds = dict[str, int]
Parts = dict[str, TensorDataset]


def seed_everything(seed: int) -> None:
    """Seed python, numpy and torch; Lightning's own function takes no seed of 63 bits."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


class Shuffled(Sampler[int]):
    """A new permutation for every epoch, from a seed of its own."""

    def __init__(self, examples: int, seed: int) -> None:
        self.examples = examples
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return self.examples

    def __iter__(self) -> Iterator[int]:
        yield from torch.randperm(self.examples, generator=self.generator).tolist()


class Noted(pl.Callback):
    """Keeps what was logged by the end of every epoch, and the mean of the losses.

    That is the mean of an epoch; of a fit of so many steps it is one of as many, after each step.
    """

    def __init__(self, *, per_step: bool) -> None:
        self.per_step = per_step
        self.batches = 0
        self.losses: list[float] = []
        self.curves: dict[str, list[tuple[int, float]]] = {}

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, *_: Any
    ) -> None:
        self.batches += 1
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if loss is not None:
            shared = trainer.accumulate_grad_batches if module.automatic_optimization else 1
            self.losses.append(float(loss * shared))
        if self.per_step:
            recent = self.losses[-int(trainer.num_training_batches) :]
            self.point(trainer.global_step, train_loss=float(np.mean(recent)))

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self.batches:
            self.on_train_end(trainer, module)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        step = trainer.global_step if module.automatic_optimization else self.batches
        self.point(step, **{name: float(v) for name, v in trainer.callback_metrics.items()})
        if self.losses and not self.per_step:
            self.point(step, train_loss=float(np.mean(self.losses)))
            self.losses.clear()

    def point(self, step: int, **values: float) -> None:
        for name, value in values.items():
            self.curves.setdefault(name, []).append((step, value))


def measured(
    module: pl.LightningModule, trainer: pl.Trainer, part: TensorDataset, lead: str
) -> dict[str, float]:
    """Return what the task of a module measures on a part: in float32 in between, at last exact."""
    x, y = part.tensors
    answer = getattr(module, "answer", module)
    module.eval()
    with torch.no_grad(), isolate_rng(), trainer.precision_plugin.forward_context():
        outputs = answer(trainer.precision_plugin.convert_input(x)).float()
    task, final = getattr(module, "task", "classification"), lead == "test"
    if task in ("classification", "sequence"):
        right = outputs.argmax(-1) == y
        return {f"{lead}_accuracy": float((right.double() if final else right.float()).mean())}
    if task not in ("regression", "reconstruction"):
        return {}
    difference = outputs - (y if task == "regression" else x)
    exact = float(np.square(difference.numpy().astype(np.float64)).mean())
    return {f"{lead}_loss": exact if final else float(difference.square().mean())}


def loaders(case: Case, parts: Parts, seed: int) -> list[Any]:
    """Return loaders of train, validation and test that draw from no global generator."""

    def loader(name: str, size: int, **settings: Any) -> Any:
        own = torch.Generator().manual_seed(seed)
        return DataLoader(parts[name], size, generator=own, **settings)

    order = Shuffled(len(parts["train"]), seed)
    train = loader("train", case.batch_size, sampler=order, drop_last=case.drop_last)
    return [train, loader("validation", 1000), loader("test", 1000)]


def fit(case: Case, seeds: Seeds) -> None:
    """Fit and test one case; write down what was logged."""
    arrays = ARRAYS[case.data]
    parts = {
        name: TensorDataset(*map(torch.from_numpy, part)) for name, part in arrays.parts().items()
    }
    seed_everything(seeds["init"])
    module = case.module(
        input_shape=arrays.shape,
        classes=arrays.classes,
        optimizer={"name": "sgd", "learning_rate": case.learning_rate},
        loss="stable",
        l2=0.0,
        seed=seeds["init"],
    )
    seed_everything(seeds["fit"])
    noted = Noted(per_step=case.steps is not None)
    length = {"max_steps": case.steps} if case.steps else {"max_epochs": case.epochs}
    settings = {**QUIET, "default_root_dir": os.environ[KEPT], **length, **case.trainer}
    trainer = pl.Trainer(**settings, callbacks=[noted], logger=DummyLogger())
    source = case.source() if case.source else None
    train, validation, test = loaders(case, parts, seeds["order"])
    given = (
        {"datamodule": source}
        if source
        else {"train_dataloaders": train, "val_dataloaders": validation}
    )
    trainer.fit(module, **given)
    values = {} if source else measured(module, trainer, parts["validation"], "val")
    if is_overridden("test_step", module):
        given = {"datamodule": source} if source else {"dataloaders": test}
        for each in trainer.test(module, **given, verbose=False):
            values |= each
    values |= {} if source else measured(module, trainer, parts["test"], "test")
    text = json.dumps({"curves": noted.curves, "metrics": values})
    (Path(os.environ[KEPT]) / f"{case.name}.json").write_text(text, encoding="utf-8")


def main() -> None:
    """Fit the cases that standard input names, with their seeds."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    for name, seeds in json.load(sys.stdin).items():
        fit(CASES[name], seeds)


if __name__ == "__main__":
    main()
