"""Which test items each run got right: a bit for each, written and read back.

In: the hits of a run, or the store and the frame of a study. Out: a small file, 1.25 kB for 10,000
items, without pickle; by cell and replicate the hits (M,) of the finished runs that kept them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablation_lab.store.client import Store
from ablation_lab.store.tags import File
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.record import Status

Hits = NDArray[np.bool_]


def write_hits(hits: Hits, path: Path) -> None:
    """Write hits (M,), eight to a byte, and their number."""
    np.savez_compressed(path, hits=np.packbits(hits), items=len(hits))


def read_hits(path: Path) -> Hits:
    """Read hits (M,) back."""
    with np.load(path, allow_pickle=False) as kept:
        bits = np.unpackbits(kept["hits"], count=int(kept["items"]))
    return bits.astype(np.bool_)


def load_hits(
    uri: str, frame: pd.DataFrame, declaration: Declaration
) -> dict[str, dict[int, Hits]]:
    """The hits of every cell that keeps them, by replicate; a run without its file has none."""
    asked = [
        cell.cell
        for cell in declaration.cells
        if (cell.config.get("training") or {}).get("keep_hits")
    ]
    runs = frame[(frame["status"] == Status.FINISHED) & frame["cell"].isin(asked)]
    store, found = Store(uri), {cell: dict[int, Hits]() for cell in asked}
    for run in runs[["cell", "replicate", "run_id"]].to_dict("records"):
        if store.has(str(run["run_id"]), File.HITS):
            with store.file(str(run["run_id"]), File.HITS) as path:
                found[str(run["cell"])][int(run["replicate"])] = read_hits(path)
    return found
