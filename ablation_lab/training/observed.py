"""The observed trainer: a solo run that also looks into its layers, and changes nothing by it.

Comes in: a run whose training section says ``observe``. Goes out: what ``solo`` gives for it, bit
for bit, and an ``Observation``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from ablation_lab.data import Dataset, Part, TrainingData
from ablation_lab.study.observation import Histogram, LayerPoint, Observation, Surface
from ablation_lab.study.run import Run, Training
from ablation_lab.study.seeds import Role, stream
from ablation_lab.training.evaluation import describe
from ablation_lab.training.lightning import lightning_trainer
from ablation_lab.training.order import batches
from ablation_lab.training.resident import ResidentLoop
from ablation_lab.training.rules import Rules
from ablation_lab.training.schedule import Chunk, chunks
from ablation_lab.training.solo import build_module
from ablation_lab.training.trained import Predict, Trained
from lightning_modules.classifier import Classifier
from lightning_modules.learner import Learner
from lightning_modules.signals import LayerSignal, layer_signals, prepared

# Training examples that the layers are looked at with, the first ones.
EXAMPLES = 500
BINS = 30
NUMBERS = (
    "gradient_norm",
    "weight_norm",
    "activation_mean",
    "activation_std",
    "activation_spread",
)
HISTOGRAMS = ("weight", "gradient", "activation")
# Of a surface: points along each input, and how far it reaches beyond the examples.
GRID = 61
MARGIN = 0.25


def train(run: Run, data: TrainingData, dataset: Dataset) -> tuple[Trained, Observation]:
    """Train one run as ``solo`` does and say what its layers did.

    Errors: TypeError for a module that Lightning fits batch by batch: its layers are its own.
    """
    module = build_module(run, dataset)
    refusal = why_not(module, run.config["model"]["family"])
    if refusal:
        raise TypeError(refusal)
    assert isinstance(module, Classifier | Learner)
    torch.manual_seed(stream(run.seed, Role.DROPOUT, run.replicate))
    training = Training(**run.config["training"])
    seed = stream(run.seed, Role.ORDER, run.replicate)
    order = batches(training, examples=len(data.train), seed=seed)
    plan = chunks(training, len(data.train))
    loop = ObservedLoop(module, data, order, plan, Rules(training))
    trainer = lightning_trainer(max_epochs=1, accelerator="auto", devices=1)
    trainer.fit(loop, train_dataloaders=range(len(plan)))
    loop.rules.give_back(module)
    device = trainer.strategy.root_device
    trained = replace(
        describe(module, loop.curves, loop.steps, loop.nonfinite_step, device),
        selected_step=loop.rules.selected_step,
    )
    drawn = dataset.shape == (2,) and dataset.classes == 1
    surface = surface_of(trained.predict, data.train) if drawn else None
    return trained, Observation(tuple(loop.points), surface)


def why_not(module: pl.LightningModule, family: str) -> str:
    """Say why a module cannot be observed; empty if it can."""
    if isinstance(module, Classifier | Learner):
        return ""
    return f"training.observe: family {family!r} trains by itself and would ignore it; leave it out"


class ObservedLoop(ResidentLoop):
    """The resident loop, which looks at the layers before its first step and at every point."""

    points: list[LayerPoint]
    _initial = True

    def on_fit_start(self) -> None:
        """Take the examples that the layers are looked at with."""
        super().on_fit_start()
        self.points = []
        x, y = self._train
        self._examples = x[:EXAMPLES], y[:EXAMPLES]

    def _batch(self) -> tuple[Tensor, Tensor]:
        x, y = super()._batch()
        if self._initial:
            self._initial = False
            self._look(prepared(self.module, x), 0)
        return x, y

    def _write(self, chunk: Chunk, losses: Tensor) -> None:
        super()._write(chunk, losses)
        if chunk.point or self.nonfinite_step is not None:
            self._look(self.module, self.steps)

    def _look(self, module: Classifier | Learner, step: int) -> None:
        with torch.enable_grad():
            found = layer_signals(module, *self._examples)
        self.points += [layer_point(signal, step) for signal in found]


def layer_point(signal: LayerSignal, step: int) -> LayerPoint:
    """Return the numbers and histograms of one layer."""
    return LayerPoint(
        step=step,
        layer=signal.name,
        numbers={name: getattr(signal, name) for name in NUMBERS},
        histograms={name: histogram(getattr(signal, name)) for name in HISTOGRAMS},
    )


def histogram(values: Tensor) -> Histogram:
    """Count values of any shape in equal bins from the lowest to the highest."""
    flat = values.detach().float().cpu().flatten()
    low, high = float(flat.min()), float(flat.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        return Histogram(low, high, ())
    counts = torch.histc(flat, bins=BINS, min=low, max=high)
    return Histogram(low, high, tuple(int(count) for count in counts))


def surface_of(predict: Predict, examples: Part) -> Surface:
    """Ask a binary classifier of two inputs for its probability over the examples' surroundings."""
    low, high = examples.x.min(0), examples.x.max(0)
    reach = MARGIN * (high - low)
    low, high = low - reach, high + reach
    first, second = (np.linspace(low[i], high[i], GRID, dtype=np.float32) for i in (0, 1))
    grid = np.stack(np.meshgrid(first, second), -1).reshape(-1, 2)
    logits = torch.from_numpy(predict(grid).reshape(GRID, GRID))
    return Surface(
        low=(float(low[0]), float(low[1])),
        high=(float(high[0]), float(high[1])),
        values=tuple(tuple(row) for row in torch.sigmoid(logits).tolist()),
        examples=tuple(
            (float(x[0]), float(x[1]), int(y))
            for x, y in zip(examples.x[:EXAMPLES], examples.y[:EXAMPLES], strict=True)
        ),
    )
