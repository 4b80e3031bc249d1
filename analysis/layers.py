"""What reached the layers of observed runs.

In: the store and the frame of a study. Out: the norms of the gradients by layer and step, and for
each cell what its first finished replicate kept of its layers and of its answer surface.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from analysis.frame import Status, artifact_text, load_curves, open_store

CURVES = "gradient_norm/layer_"
FILE = "observation.json"
COLUMNS = ["cell", "replicate", "run_id", "step", "value", "layer"]


@dataclass(frozen=True)
class Histogram:
    """Counts of equal bins from `low` to `high`; none where values were not finite."""

    low: float
    high: float
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Surface:
    """The probability of class 1 on a grid over two inputs (rows: the second), and the examples."""

    low: tuple[float, float]
    high: tuple[float, float]
    values: tuple[tuple[float, ...], ...]
    examples: tuple[tuple[float, float, int], ...]


@dataclass(frozen=True)
class Observation:
    """Histograms of one run by quantity and step, one for each layer in order, and its surface."""

    run_id: str
    histograms: Mapping[tuple[str, int], tuple[Histogram, ...]]
    surface: Surface | None

    def of(self, quantity: str, *, last: bool) -> tuple[Histogram, ...]:
        """The histograms of every layer before the first step, or after the last one looked at."""
        steps = [step for name, step in self.histograms if name == quantity]
        return self.histograms[quantity, max(steps) if last else min(steps)] if steps else ()


@dataclass(frozen=True)
class Layers:
    """The gradient norms of all runs (one row per run, layer and step), and one run per cell."""

    norms: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=COLUMNS))
    observations: Mapping[str, Observation] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def load_layers(uri: str, frame: pd.DataFrame) -> Layers:
    """What the observed runs of a study left; empty where none was observed."""
    names = [str(name) for name in frame.columns if str(name).startswith(CURVES)]
    finished = frame[frame["status"] == Status.FINISHED]
    if not names or finished.empty:
        return Layers()
    tables = [
        load_curves(uri, finished, name).assign(layer=int(name.removeprefix(CURVES)))
        for name in sorted(names)
    ]
    norms = pd.concat(tables, ignore_index=True)
    order = ["cell", "replicate", "step", "layer"]
    observations, problems = _observations(uri, finished)
    return Layers(norms.sort_values(order, ignore_index=True), observations, problems)


def parse_observation(text: str, run_id: str) -> Observation:
    """Read what a run keeps as observation.json."""
    stored = json.loads(text)
    histograms: dict[tuple[str, int], list[Histogram]] = {}
    for point in stored["layers"]:
        for name, kept in point["histograms"].items():
            made = Histogram(kept["low"], kept["high"], tuple(kept["counts"]))
            histograms.setdefault((name, point["step"]), []).append(made)
    return Observation(
        run_id,
        {key: tuple(layers) for key, layers in histograms.items()},
        None if stored["surface"] is None else _surface(stored["surface"]),
    )


def _surface(stored: Mapping[str, Any]) -> Surface:
    return Surface(
        low=tuple(stored["low"]),
        high=tuple(stored["high"]),
        values=tuple(map(tuple, stored["values"])),
        examples=tuple(map(tuple, stored["examples"])),
    )


def stored_observations(uri: str, run_ids: Iterable[str]) -> dict[str, Observation]:
    """What these runs kept, by run id; a run whose file the store has not is left out."""
    client = open_store(uri)
    return {
        run_id: parse_observation(artifact_text(client, run_id, FILE), run_id)
        for run_id in run_ids
        if any(item.path == FILE for item in client.list_artifacts(run_id))
    }


def _observations(
    uri: str, finished: pd.DataFrame
) -> tuple[dict[str, Observation], tuple[str, ...]]:
    """The observation of each cell's first finished replicate, and how many cells lack it."""
    first = finished.sort_values("replicate", kind="stable").drop_duplicates("cell")
    by_run = stored_observations(uri, first["run_id"])
    cells = dict(zip(first["run_id"], first["cell"], strict=True))
    found = {cells[run_id]: observation for run_id, observation in by_run.items()}
    lost = [cell for cell in first["cell"] if cell not in found]
    if not lost:
        return found, ()
    said = f"{len(lost)} cells, such as {lost[0]}: the store has no {FILE} of the first replicate"
    return found, (f"{said}, so the figures of layers leave them out",)
