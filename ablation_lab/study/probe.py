"""What a probed run leaves beside its curves: its layers at some steps, and its answer surface.

Pure. ``text`` is what MLflow keeps as the run's ``observation.json``, and what the report reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ablation_lab.study.record import Curve

DIGITS = 6  # significant ones, of every number in the text
LAYER_CURVES = ("gradient_norm", "weight_norm")


@dataclass(frozen=True)
class Histogram:
    """Counts of equal bins from ``low`` to ``high``; no counts where a value is not finite."""

    low: float
    high: float
    counts: tuple[int, ...]


@dataclass(frozen=True)
class LayerPoint:
    """One layer after so many steps: its numbers and its histograms, by quantity."""

    step: int
    layer: str
    numbers: Mapping[str, float]
    histograms: Mapping[str, Histogram]


@dataclass(frozen=True)
class Surface:
    """The probability of class 1 on a square grid over two inputs, and the training examples.

    One that is not finite is None when it is read back.
    ``values[i][j]`` belongs to the i-th of equally spaced second inputs from ``low[1]`` to
    ``high[1]`` and the j-th first input; an example is (first input, second input, class).
    """

    low: tuple[float, float]
    high: tuple[float, float]
    values: tuple[tuple[float | None, ...], ...]
    examples: tuple[tuple[float, float, int], ...]


@dataclass(frozen=True)
class Probed:
    """The layers of a run, from before its first step on, and its surface if it has two inputs."""

    layers: tuple[LayerPoint, ...]
    surface: Surface | None = None

    @property
    def curves(self) -> dict[str, Curve]:
        """The norms of each layer's gradient and weights by step, as curves of the run."""
        found: dict[str, list[tuple[int, float]]] = {}
        for quantity in LAYER_CURVES:
            for point in self.layers:
                points = found.setdefault(f"{quantity}/{point.layer}", [])
                points.append((point.step, point.numbers[quantity]))
        return {name: tuple(points) for name, points in found.items()}

    @property
    def text(self) -> str:
        """What was seen as JSON; a number that is not finite is null."""
        return json.dumps(_plain(asdict(self)), separators=(",", ":"), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        rounded = float(f"{value:.{DIGITS}g}")
        return rounded if abs(rounded) < float("inf") else None
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
