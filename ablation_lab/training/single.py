"""The single trainer: one run under ``pl.Trainer``, the reference for every other.

A ``Classifier`` or ``Learner`` trains in memory; any other LightningModule (a user's own) is fitted
as Lightning fits it, batch by batch, on the same order of examples.
"""

from __future__ import annotations

import random
from typing import TypeGuard

import numpy as np
import pytorch_lightning as pl
import torch

from ablation_lab.data import Dataset, Loaders, Part, TrainingData
from ablation_lab.study.run import Role, Run, Training, stream
from ablation_lab.training import in_memory, lightning
from ablation_lab.training.fault import trying
from ablation_lab.training.order import Order, batches
from ablation_lab.training.trained import Trained
from ablation_lab.training.validate import validate_own_loop
from lightning_modules.families import Learner, build_family

# Numpy takes seeds of 32 bits.
NUMPY_SEEDS = 1 << 32


def train(
    run: Run,
    data: TrainingData | Loaders,
    dataset: Dataset,
    watch: in_memory.Watch = in_memory.UNWATCHED,
) -> Trained:
    """Train one run on its training part; curves hold train_loss and val_accuracy."""
    module, training = begin(run, dataset)
    if isinstance(data, TrainingData) and trains_in_memory(module, training, dataset):
        order = order_of(run, training, len(data.train))
        return in_memory.fit(module, data, training, order, watch)
    validate_own_loop(module, training, run.config["model"]["family"])
    seed = stream(run.seed, Role.ORDER, run.replicate)
    return lightning.fit(module, data, training, seed=seed)


def trains_in_memory(
    module: pl.LightningModule, training: Training, dataset: Dataset
) -> TypeGuard[Learner]:
    """Say whether a run trains in memory, and not by Lightning's own loop."""
    ours = isinstance(module, Learner)
    return ours and not training.trainer and not dataset.loaders


def begin(run: Run, dataset: Dataset) -> tuple[pl.LightningModule, Training]:
    """Return the run's module before its first step, and how it trains."""
    module = build_module(run, dataset)
    # Dropout draws from torch's global generator; a module of a user's own may draw from any.
    seed_everything(stream(run.seed, Role.DROPOUT, run.replicate))
    return module, Training(**run.config["training"])


def order_of(run: Run, training: Training, examples: int) -> Order:
    """Return on which of the ``examples`` the run takes its steps."""
    seed = stream(run.seed, Role.ORDER, run.replicate)
    return batches(training, examples=examples, seed=seed)


def prepare(module: Learner, part: Part, order: Order) -> None:
    """Finish an initialisation that needs data with the first batch of the run's own order."""
    rows = next(iter(order))
    x = torch.from_numpy(part.x)
    module.train()
    module.prepare(x if rows is None else x[rows])


def build_module(run: Run, dataset: Dataset) -> pl.LightningModule:
    """Build and initialise the run's module from its own stream.

    It is given as ``seed``; whatever a module draws beside that comes from the same stream.
    """
    seed = stream(run.seed, Role.INIT, run.replicate)
    seed_everything(seed)
    model = {key: value for key, value in run.config["model"].items() if key != "family"}
    training = run.config["training"]
    if "scheduler" in run.config:
        model["scheduler"] = run.config["scheduler"]
    with trying("building it"):
        return build_family(
            run.config["model"]["family"],
            input_shape=dataset.shape,
            classes=dataset.classes,
            optimizer=run.config["optimizer"],
            loss=training["loss"],
            l2=training["l2"],
            seed=seed,
            **model,
        )


def seed_everything(seed: int) -> None:
    """Seed the global generators of python, numpy and torch, so that every draw is the run's own.

    A module that ignores its ``seed`` then gives the same result in every process.
    """
    random.seed(seed)
    np.random.seed(seed % NUMPY_SEEDS)
    torch.manual_seed(seed)
