"""Whether a module gives the same twice: it is built and trained for some steps, and again.

Comes in: a stack, of which the first run is looked at. Goes out: one line that says where the two
differ, or nothing. All that is global is seeded as for a run; what draws from elsewhere is found
out: a generator without a seed, the clock, a counter that outlives the module.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from ablation_lab.data import DATASETS, Dataset, Loaders, Part, TrainingData, load_loaders
from ablation_lab.study.run import Run, Stack
from ablation_lab.training import single
from ablation_lab.training.lightning import plain_trainer
from ablation_lab.training.loaders import fit_arguments
from ablation_lab.training.packages import import_packages
from ablation_lab.training.surroundings import restored

STEPS = 3
EXAMPLES = 8


class _Seen(pl.Callback):
    """Keeps the loss of every step."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, _: int
    ) -> None:
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        self.losses += [] if loss is None else [float(loss)]


def repeatable(stack: Stack) -> str:
    """Build and step the stack's first run twice; return where the two differ, '' if nowhere.

    The examples are made up in the shape of the data set's, or come from its own loaders.
    Errors: whatever the module raises.
    """
    import_packages(stack.plugins)
    run = stack.runs[0]
    dataset = DATASETS.get(run.config["data"]["name"])
    first, again = (_traced(run, dataset, stack.data_root, draws) for draws in (1, 2))
    family = run.config["model"]["family"]
    for (where, value), (there, other) in zip(first, again, strict=False):
        if where != there or not _same(value, other):
            return (
                f"family {family!r} is not repeatable: {where} is another when all is done again "
                "from the same seeds; draw from torch's, numpy's or python's global generators, or "
                "from one made from the argument seed"
            )
    return "" if len(first) == len(again) else f"family {family!r} takes another number of steps"


def made_up(dataset: Dataset, *sizes: int) -> tuple[Tensor, Tensor]:
    """Return examples (*sizes, *shape) and targets of a data set's form, always the same ones."""
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(*sizes, *dataset.shape, generator=draw)
    if not dataset.classes:
        return x, torch.rand(*sizes, *dataset.targets, generator=draw)
    return x, torch.randint(max(dataset.classes, 2), (*sizes, *dataset.targets), generator=draw)


def _traced(
    run: Run, dataset: Dataset, root: str | None, draws: int
) -> list[tuple[str, float | Tensor]]:
    """Return the trace of a run that finds the process as any other run would."""
    with restored():
        return list(_trace(run, dataset, root, draws))


def _trace(
    run: Run, dataset: Dataset, root: str | None, draws: int
) -> Iterator[tuple[str, float | Tensor]]:
    """Yield what can be told apart of a module as it is built, and after each of some steps."""
    for _ in range(draws):
        random.random()
        np.random.random()
        torch.rand(1)
    module, training = single.begin(run, dataset)
    yield from _values(module, "as it is built")
    if dataset.loaders:
        data: TrainingData | Loaders = load_loaders(
            run.config["data"]["name"], Path(root) if root else None
        )
    else:
        part = Part(*(each.numpy() for each in made_up(dataset, STEPS * EXAMPLES)))
        data = TrainingData(part, part)
    size = training.batch_size and min(training.batch_size, EXAMPLES)
    few = training.model_copy(update={"epochs": None, "steps": STEPS, "batch_size": size})
    seen = _Seen()
    trainer = plain_trainer(module, few, callbacks=[seen], devices=1)
    trainer.fit(module, **fit_arguments(data, few, seed=0))
    yield from ((f"the loss of step {step}", loss) for step, loss in enumerate(seen.losses, 1))
    yield from _values(module, f"after {STEPS} steps")


def _values(module: pl.LightningModule, when: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in module.state_dict().items():
        if isinstance(value, Tensor):
            yield f"{name!r} {when}", value.clone()


def _same(one: float | Tensor, other: float | Tensor) -> bool:
    return torch.allclose(
        torch.as_tensor(one), torch.as_tensor(other), rtol=0, atol=0, equal_nan=True
    )
