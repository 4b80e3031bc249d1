"""What reached the layers of probed runs.

In: the store and the frame of a study. Out: the norms of the gradients by layer and step, and for
each cell what its first finished replicate kept of its layers and of its answer surface.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ablation_lab.store.client import Store
from ablation_lab.store.frame import load_curves
from ablation_lab.store.tags import File
from ablation_lab.study.record import Probed, Status

CURVES = "gradient_norm/layer_"
COLUMNS = ["cell", "replicate", "run_id", "step", "value", "layer"]


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


def stored_probed(uri: str, run_ids: Iterable[str]) -> dict[str, Probed]:
    """What these runs kept, by run id; a run whose file the store has not is left out."""
    store = Store(uri)
    return {
        run_id: Probed.read(store.text(run_id, File.PROBED))
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
