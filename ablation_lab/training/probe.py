"""The probe: a single run that also looks into its layers, and changes nothing by it.

Comes in: a run whose training section says ``probe``. Goes out: what ``single`` gives for it, bit
for bit, and a ``Probed``.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ablation_lab.data import Dataset, Part, TrainingData
from ablation_lab.study.record import Histogram, LayerPoint, Probed, Surface
from ablation_lab.study.run import Run
from ablation_lab.training.in_memory import Alone, train_alone
from ablation_lab.training.single import begin, order_of
from ablation_lab.training.trained import Predict, Trained
from ablation_lab.training.validate import validate_probe
from lightning_modules.families import Learner
from lightning_modules.losses import Measure
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


def train(run: Run, data: TrainingData, dataset: Dataset) -> tuple[Trained, Probed]:
    """Train one run as ``single`` does and say what its layers did.

    Errors: ValueError for a module that Lightning fits batch by batch: its layers are its own.
    """
    module, training = begin(run, dataset)
    validate_probe(module, training, dataset, run.config["model"]["family"])
    assert isinstance(module, Learner)
    watched = Watched(module, order_of(run, training, len(data.train)), training)
    trained = train_alone(watched, data, training)
    drawn = dataset.shape == (2,) and dataset.classes == 1
    surface = surface_of(trained.predict, data.train) if drawn else None
    return trained, Probed(tuple(watched.points), surface)


class Watched(Alone):
    """A run whose layers are looked at before its first step and at every point of its curves."""

    _initial = True

    def start(self, x: Tensor, y: Tensor) -> None:
        """Take the training set, and the examples that the layers are looked at with."""
        self.points: list[LayerPoint] = []
        self._examples = x[:EXAMPLES], y[:EXAMPLES]
        super().start(x, y)

    def _batch(self) -> tuple[Tensor, Tensor]:
        x, y = super()._batch()
        if self._initial:
            self._initial = False
            self._look(prepared(self.module, x))
        return x, y

    def measured(self, measure: Measure, x: Tensor, y: Tensor) -> list[float]:
        """Return what the task measures, and look at the layers."""
        values = super().measured(measure, x, y)
        self._look(self.module)
        return values

    def _look(self, module: Learner) -> None:
        with torch.enable_grad():
            found = layer_signals(module, *self._examples)
        self.points += [layer_point(signal, self.steps) for signal in found]


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
