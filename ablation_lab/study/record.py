"""What a run leaves behind: status, metrics, curves, convergence, layers, provenance. Pure.

A run is not converged if a loss or parameter is not finite, or at the end the training loss exceeds
0.98·ln C, or the test accuracy is at most five points above chance: rules that are fixed before any
run. The first one that fires is stored with its step. For a binary problem C = 2 and chance is 1/2.
Of what was not run it is said why, and what to type.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cache
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, TypeAdapter

from ablation_lab.study.run import Run, TrainerName

NOT_RUN = "not run"  # the reason of a declared run that the store does not know
LOSS_SHARE = 0.98
ACCURACY_MARGIN = 0.05
DIGITS = 6  # significant ones, of every number in the text of a probed run's layers
UNLIKE = "not_repeatable"  # in the provenance of a run: how its family is so
LAYER_CURVES = ("gradient_norm", "weight_norm")

Curve = tuple[tuple[int, float], ...]
# A number of a probed run, which is null in its text where it is not finite.
Kept = Annotated[float, BeforeValidator(lambda found: math.nan if found is None else found)]


class Status(StrEnum):
    """What became of a declared run; of the last three, which only a frame has, nothing was run."""

    FINISHED = "finished"
    FAILED = "failed"
    SKIPPED = "skipped"
    MISSING = "missing"
    NOT_NEEDED = "not needed"


class NoConvergence(StrEnum):
    """Why a run counts as not converged; the rules are fixed before any run."""

    NONE = ""
    NON_FINITE = "non_finite"
    LOSS_AT_CHANCE = "loss_at_chance"
    ACCURACY_AT_CHANCE = "accuracy_at_chance"


@dataclass(frozen=True)
class Record:
    """Everything that a run leaves: final metrics, curves, status, provenance.

    ``logits`` has shape (N, C) for the N test examples; it is kept only for ensemble members.
    ``hits`` (M,) says which of the M test items are right, where a run keeps that.
    ``images`` (N, channels, H, W) in [0, 1] are what a generative module makes; ``probed`` is
    the text of a probed run's layers. ``files`` is the folder of what else it left, which goes
    when it is stored. ``fits`` is false for a run that failed because its device has no room for
    it, which is the user's to mend.
    """

    run: Run
    status: Status
    trainer: TrainerName
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    not_converged: NoConvergence = NoConvergence.NONE
    not_converged_step: int | None = None
    steps: int = 0
    seconds: float = 0.0
    started: float = 0.0
    reason: str = ""
    error: str = ""
    fits: bool = True
    provenance: Mapping[str, str] = field(default_factory=dict)
    logits: np.ndarray | None = None
    hits: np.ndarray | None = None
    images: np.ndarray | None = None
    probed: str = ""
    files: str = ""


def chance(classes: int) -> float:
    """Accuracy of guessing among ``classes`` (1 means binary)."""
    return 1.0 / max(classes, 2)


def no_convergence(
    *, finite: bool, train_loss: float | None, accuracy: float | None, classes: int
) -> NoConvergence:
    """Return the first rule that fires, or ``NoConvergence.NONE``.

    ``train_loss`` is None where nobody knows it (an ensemble, a module that does not tell),
    ``accuracy`` where the task has none (a regression): there only the first rule applies.
    """
    if not finite or (train_loss is not None and not math.isfinite(train_loss)):
        return NoConvergence.NON_FINITE
    if accuracy is None:
        return NoConvergence.NONE
    if train_loss is not None and train_loss > LOSS_SHARE * math.log(max(classes, 2)):
        return NoConvergence.LOSS_AT_CHANCE
    if accuracy <= chance(classes) + ACCURACY_MARGIN:
        return NoConvergence.ACCURACY_AT_CHANCE
    return NoConvergence.NONE


@dataclass(frozen=True)
class Histogram:
    """Counts of equal bins from ``low`` to ``high``; no counts where a value is not finite."""

    low: Kept
    high: Kept
    counts: tuple[int, ...]


@dataclass(frozen=True)
class LayerPoint:
    """One layer after so many steps: its numbers and its histograms, by quantity."""

    step: int
    layer: str
    numbers: Mapping[str, Kept]
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
        """What was seen as JSON, which MLflow keeps; a number that is not finite is null."""
        return json.dumps(_plain(asdict(self)), separators=(",", ":"), allow_nan=False)

    @staticmethod
    def read(text: str) -> Probed:
        """Return what such a text says; of layers, a number that was not finite is NaN."""
        return _reader().validate_json(text)

    def histograms(self, quantity: str, *, last: bool) -> tuple[Histogram, ...]:
        """The histograms of every layer before the first step, or after the last one looked at."""
        points = [point for point in self.layers if quantity in point.histograms]
        return tuple(each.histograms[quantity] for each in _at_the_end(points, last=last))

    def numbers(self, quantity: str, *, last: bool) -> tuple[float, ...]:
        """The numbers of every layer before the first step, or after the last one looked at."""
        points = [point for point in self.layers if quantity in point.numbers]
        return tuple(each.numbers[quantity] for each in _at_the_end(points, last=last))


@cache
def _reader() -> TypeAdapter[Probed]:
    return TypeAdapter(Probed)


def _at_the_end(points: Sequence[LayerPoint], *, last: bool) -> list[LayerPoint]:
    """Return the layers at the last of the steps at which they were looked at, or at the first."""
    steps = [point.step for point in points]
    step = (max if last else min)(steps, default=0)
    return [point for point in points if point.step == step]


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        rounded = float(f"{value:.{DIGITS}g}")
        return rounded if abs(rounded) < float("inf") else None
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


def command(study: str, profile: str) -> str:
    """The command that trains what is missing of a study, and nothing else."""
    return f"ablation run study={study} profile={profile}"


def untrained_because(needs: str, study: str, profile: str) -> str:
    """Why runs were not trained, and the command that does it."""
    return f"{not_run(needs)}; {command(study, profile)} trains what is missing"


def not_run(needs: str) -> str:
    """'not run', with what the study needs where it says so."""
    return f"not run, needs {needs}" if needs else "not run"
