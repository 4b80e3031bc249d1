"""What reached the layers of probed runs.

In: the store and the frame of a study. Out: the norms of the gradients by layer and step, and for
each cell what its first finished replicate kept of its layers and of its answer surface.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from ablation_lab.store.client import Store
from ablation_lab.store.frame import load_curves
from ablation_lab.store.tags import File
from ablation_lab.study.record import Histogram, Status, Surface

CURVES = "gradient_norm/layer_"
T = TypeVar("T")
COLUMNS = ["cell", "replicate", "run_id", "step", "value", "layer"]


@dataclass(frozen=True)
class Probed:
    """Histograms and numbers of one run by quantity and step, and its surface.

    Both have one entry for each layer in order; a number that was not finite is NaN.
    """

    run_id: str
    histograms: Mapping[tuple[str, int], tuple[Histogram, ...]]
    surface: Surface | None
    numbers: Mapping[tuple[str, int], tuple[float, ...]] = field(default_factory=dict)

    def of(self, quantity: str, *, last: bool) -> tuple[Histogram, ...]:
        """The histograms of every layer before the first step, or after the last one looked at."""
        return _at_the_end(self.histograms, quantity, last=last)

    def number(self, quantity: str, *, last: bool) -> tuple[float, ...]:
        """The numbers of every layer before the first step, or after the last one looked at."""
        return _at_the_end(self.numbers, quantity, last=last)


def _at_the_end(
    kept: Mapping[tuple[str, int], tuple[T, ...]], quantity: str, *, last: bool
) -> tuple[T, ...]:
    steps = [step for name, step in kept if name == quantity]
    return kept[quantity, max(steps) if last else min(steps)] if steps else ()


@dataclass(frozen=True)
class Layers:
    """The gradient norms of all runs (one row per run, layer and step), and one run per cell."""

    norms: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=COLUMNS))
    probed: Mapping[str, Probed] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def load_layers(uri: str, frame: pd.DataFrame) -> Layers:
    """What the probed runs of a study left; empty where none was probed."""
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
    probed, problems = _probed(uri, finished)
    return Layers(norms.sort_values(order, ignore_index=True), probed, problems)


def ends(norms: pd.DataFrame) -> pd.DataFrame:
    """Norms of the first and of the last layer and their quotient, one row per run and step.

    Columns cell, replicate, run_id, step, first, last, ratio. Zero over zero counts as zero; all
    three are NaN where the norm of any layer is not finite.
    """
    keys = ["cell", "replicate", "run_id", "step"]
    by_step = norms.assign(finite=np.isfinite(norms["value"])).groupby(keys)
    finite = by_step["finite"].all()
    first, last = (
        pd.Series(norms.loc[place, "value"].to_numpy(), index=finite.index).where(finite)
        for place in (by_step["layer"].idxmin(), by_step["layer"].idxmax())
    )
    ratio = (first / last).mask((first == 0) & (last == 0), 0.0)
    return pd.DataFrame({"first": first, "last": last, "ratio": ratio}).reset_index()


def courses(norms: pd.DataFrame, quantity: str) -> dict[str, pd.Series[float]]:
    """Median over runs of a column of `ends` by step, for each cell.

    A run that is no longer finite counts as infinite, and one that ended keeps its last value; NaN
    where the median is infinite.
    """
    made = {}
    for cell, part in ends(norms).groupby("cell", sort=False):
        table = part.assign(value=part[quantity].fillna(np.inf))
        by_run = table.pivot(index="run_id", columns="step", values="value").ffill(axis=1)
        made[str(cell)] = by_run.median().replace(np.inf, np.nan)
    return made


def parse_probed(text: str, run_id: str) -> Probed:
    """Read what a run keeps as observation.json."""
    stored = json.loads(text)
    histograms: dict[tuple[str, int], list[Histogram]] = {}
    numbers: dict[tuple[str, int], list[float]] = {}
    for point in stored["layers"]:
        for name, value in point["numbers"].items():
            numbers.setdefault((name, point["step"]), []).append(nan if value is None else value)
        for name, kept in point["histograms"].items():
            made = Histogram(kept["low"], kept["high"], tuple(kept["counts"]))
            histograms.setdefault((name, point["step"]), []).append(made)
    return Probed(
        run_id,
        {key: tuple(layers) for key, layers in histograms.items()},
        None if stored["surface"] is None else _surface(stored["surface"]),
        {key: tuple(layers) for key, layers in numbers.items()},
    )


def _surface(stored: Mapping[str, Any]) -> Surface:
    return Surface(
        low=tuple(stored["low"]),
        high=tuple(stored["high"]),
        values=tuple(map(tuple, stored["values"])),
        examples=tuple(map(tuple, stored["examples"])),
    )


def stored_probed(uri: str, run_ids: Iterable[str]) -> dict[str, Probed]:
    """What these runs kept, by run id; a run whose file the store has not is left out."""
    store = Store(uri)
    return {
        run_id: parse_probed(store.text(run_id, File.PROBED), run_id)
        for run_id in run_ids
        if store.has(run_id, File.PROBED)
    }


def _probed(uri: str, finished: pd.DataFrame) -> tuple[dict[str, Probed], tuple[str, ...]]:
    """What was seen in each cell's first finished replicate, and how many cells lack it."""
    first = finished.sort_values("replicate", kind="stable").drop_duplicates("cell")
    by_run = stored_probed(uri, first["run_id"])
    cells = dict(zip(first["run_id"], first["cell"], strict=True))
    found = {cells[run_id]: probed for run_id, probed in by_run.items()}
    lost = [cell for cell in first["cell"] if cell not in found]
    if not lost:
        return found, ()
    said = f"{len(lost)} cells, such as {lost[0]}: the store has no {File.PROBED}"
    return found, (f"{said} of the first replicate, so the figures of layers leave them out",)
