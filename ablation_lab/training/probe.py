"""The probe: it looks into the layers of runs that train, and changes nothing by it.

Comes in: a program whose training section says ``probe``, alone or a stack. Goes out: a ``Probed``
for each of its runs, which are trained bit for bit as without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ablation_lab.study.record import Histogram, LayerPoint, Probed, Record, Surface
from ablation_lab.training.in_memory import Program, Watch
from ablation_lab.training.trained import Predict
from lightning_modules.families import Classifier
from lightning_modules.signals import LayerSignal, layer_signals

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


class Probe(Watch):
    """Looks into the layers of every run before its first step and at every point of its curves."""

    def start(self, program: Program, x: Tensor, y: Tensor) -> None:
        """Look at all runs as their first step finds them."""
        self._program = program
        self._train = x, y
        self._points: list[list[LayerPoint]] = [[] for _ in range(program.size)]
        self.look(0, range(program.size))

    def look(self, step: int, runs: Sequence[int]) -> None:
        """Keep what reaches each layer of these runs."""
        for run in runs:
            with torch.enable_grad():
                module = self._program.module_of(run)
                found = layer_signals(module, *(part[:EXAMPLES] for part in self._train))
            self._points[run] += [layer_point(signal, step) for signal in found]

    def seen(self, run: int, predict: Predict) -> Probed:
        """Return all points of a run, and its surface if it tells two classes by two inputs."""
        module = self._program.module_of(run)
        binary = isinstance(module, Classifier) and module.classes == 1
        drawn = binary and self._train[0].shape[1:] == (2,)
        surface = surface_of(predict, *self._train) if drawn else None
        return Probed(tuple(self._points[run]), surface)


def with_probed(record: Record, probed: Probed) -> Record:
    """Return the record of a run with what was seen in its layers."""
    curves = {**record.curves, **probed.curves}
    return replace(record, curves=curves, probed=probed.text)


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


def surface_of(predict: Predict, x: Tensor, y: Tensor) -> Surface:
    """Ask a binary classifier of two inputs for its probability over the examples' surroundings."""
    examples = x.cpu().numpy()
    low, high = examples.min(0), examples.max(0)
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
            (float(one[0]), float(one[1]), int(label))
            for one, label in zip(examples[:EXAMPLES], y[:EXAMPLES].tolist(), strict=True)
        ),
    )
