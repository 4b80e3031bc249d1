"""Today's practice, written as one would without the lab: a plain loop, and a fit per run.

Nothing here uses the lab's modules or trainers.
"""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from ablation_lab.data import Part
from ablation_lab.training.lightning import lightning_trainer
from tests.bench.measure import Cost, cost
from tests.bench.workloads import Workload


def network(work: Workload) -> nn.Sequential:
    """Return the workload's network in plain torch."""
    shape, classes = work.dataset.shape, work.dataset.classes
    if work.model["family"] == "convnet":
        first, second = work.model["channels"]
        pool = nn.MaxPool2d(2)
        return nn.Sequential(
            nn.Conv2d(1, first, 3, padding=1), nn.ReLU(), pool,
            nn.Conv2d(first, second, 3, padding=1), nn.ReLU(), pool,
            nn.Flatten(), nn.Linear(7 * 7 * second, classes),
        )  # fmt: skip
    layers: list[nn.Module] = [nn.Flatten()]
    ends = [int(np.prod(shape)), *work.model["widths"]]
    for width, following in pairwise(ends):
        layers += [nn.Linear(width, following)]
        layers += [nn.Sigmoid() if work.data == "xor" else nn.ReLU()]
        layers += [nn.Dropout(1 - keep)] if (keep := work.model.get("keep_prob", 1.0)) < 1 else []
    return nn.Sequential(*layers, nn.Linear(ends[-1], classes))


def criterion(work: Workload, logits: Tensor, y: Tensor) -> Tensor:
    """Return the loss that the decks print for XOR, and cross-entropy for the rest."""
    if work.data == "xor":
        h, target = torch.sigmoid(logits[:, 0]), y.float()
        return -(target * torch.log(h) + (1 - target) * torch.log(1 - h)).mean()
    return nn.functional.cross_entropy(logits, y)


def optimizer(work: Workload, model: nn.Module) -> torch.optim.Optimizer:
    """Return torch's optimiser with its own defaults."""
    if work.optimizer["name"] == "sgd":
        return torch.optim.SGD(model.parameters(), lr=work.optimizer["learning_rate"])
    return torch.optim.Adam(model.parameters(), lr=work.optimizer["learning_rate"])


def plain_loop(work: Workload, train: Part, *, threads: int) -> float:
    """Return the seconds a step of a loop over shuffled indices takes, data in memory."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    x, y = torch.from_numpy(train.x), torch.from_numpy(train.y)
    batch = min(work.batch_size or len(y), len(y))
    model = network(work)
    update = optimizer(work, model)
    permutation = torch.randperm(len(y))

    def take(steps: int) -> None:
        for step in range(steps):
            first = step * batch % (len(y) - batch + 1)
            rows = permutation[first : first + batch]
            loss = criterion(work, model(x[rows]), y[rows])
            update.zero_grad()
            loss.backward()
            update.step()

    take(max(2, work.steps // 10))
    started = time.perf_counter()
    take(work.steps)
    seconds = time.perf_counter() - started
    torch.set_num_threads(before)
    return seconds / work.steps


class PlainModule(pl.LightningModule):
    """The same network as Lightning's own documentation would write it."""

    def __init__(self, work: Workload) -> None:
        super().__init__()
        self.work = work
        self.network = network(work)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        x, y = batch
        return criterion(self.work, self.network(x), y)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return torch's optimiser."""
        return optimizer(self.work, self.network)


def lightning_fit(work: Workload, train: Part, steps: int) -> float:
    """Return the seconds of one ``pl.Trainer.fit`` of so many steps, with a DataLoader."""
    x, y = torch.from_numpy(train.x), torch.from_numpy(train.y)
    batch = min(work.batch_size or len(y), len(y))
    started = time.perf_counter()
    loader = DataLoader(TensorDataset(x, y), batch_size=batch, shuffle=True, drop_last=True)
    trainer = lightning_trainer(max_epochs=-1, max_steps=steps, accelerator="auto", devices=1)
    trainer.fit(PlainModule(work), loader)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def lightning_cost(work: Workload, train: Part) -> Cost:
    """Return what such a fit costs: to set it up, and a step."""
    return cost(lambda steps: lightning_fit(work, train, steps), work.steps)
