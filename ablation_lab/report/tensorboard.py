"""`python -m ablation_lab.report.tensorboard`: tracked runs as a log that TensorBoard reads.

In: the address of a store, a profile, studies. Out: one folder of events per run, with every curve
as scalars and, for probed runs, the histograms of their layers. Exit status 0, or 2 with one line
on what is wrong. The store stays the truth: the log is written anew at every call.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tensorboardX import SummaryWriter

from ablation_lab.errors import StoreError
from ablation_lab.output import warn
from ablation_lab.report.__main__ import BAD_INPUT
from ablation_lab.report.study import UnknownStudyError, declared
from ablation_lab.report.text import file_name
from ablation_lab.store.client import readable
from ablation_lab.store.frame import load_curves, load_frame
from ablation_lab.store.layers import stored_probed
from ablation_lab.store.places import validate_readable
from ablation_lab.store.tags import File
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.record import Histogram, Probed, Status

CURVES = ("train_loss", "val_accuracy", "val_loss", "val_distance")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the log; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m ablation_lab.report.tensorboard", description=__doc__
    )
    parser.add_argument("--store", required=True, help="such as sqlite:///runs/mlflow.db")
    parser.add_argument("--profile", required=True, help="such as quick")
    parser.add_argument("--studies", nargs="*", default=[], help="all, where none is named")
    parser.add_argument("--folder", type=Path, default=Path("runs/tensorboard"))
    options = parser.parse_args(arguments)
    try:
        validate_readable(options.store)
        with readable(options.store):
            found = declared(options.store, options.profile, only=options.studies)
            for declaration in found:
                sys.stdout.write(f"{write_log(options.store, declaration, options.folder)}\n")
    except (StoreError, UnknownStudyError) as error:
        warn(f"error: {error}")
        return BAD_INPUT
    sys.stdout.write(f"tensorboard --logdir {options.folder}\n")
    return 0


def write_log(uri: str, declaration: Declaration, folder: Path) -> str:
    """Write the runs of a study; says how many, and what the log lacks of them."""
    place = folder / declaration.study
    shutil.rmtree(place, ignore_errors=True)
    frame = load_frame(uri, declaration)
    runs = frame[frame["status"] == Status.FINISHED]
    layered = [str(name) for name in frame.columns if "/" in str(name)]
    tables = [load_curves(uri, runs, name).assign(metric=name) for name in (*CURVES, *layered)]
    points = pd.concat(tables, ignore_index=True)
    drawn = points[np.isfinite(points["value"])]
    by_run = dict(list(drawn.groupby("run_id")))
    probed = stored_probed(uri, runs["run_id"]) if layered else {}
    for row in runs[["cell", "replicate", "run_id"]].itertuples(index=False, name=None):
        cell, replicate, run_id = row
        with SummaryWriter(str(place / file_name(cell) / f"r{replicate}")) as writer:
            for metric, step, value in _scalars(by_run.get(run_id)):
                writer.add_scalar(metric, value, step)
            if run_id in probed:
                _add_histograms(writer, probed[run_id])
    said = [f"{declaration.study}: {len(runs)} runs"]
    if len(drawn) < len(points):
        said.append(f"{len(points) - len(drawn)} points that are not finite are left out")
    if layered and len(probed) < len(runs):
        lost = len(runs) - len(probed)
        said.append(f"{lost} have lost their {File.PROBED} and so their histograms")
    return "; ".join(said)


def _scalars(points: pd.DataFrame | None) -> Iterator[tuple[str, int, float]]:
    if points is not None:
        yield from points[["metric", "step", "value"]].itertuples(index=False, name=None)


def _add_histograms(writer: SummaryWriter, probed: Probed) -> None:
    for point in probed.layers:
        for quantity, histogram in point.histograms.items():
            if histogram.counts:
                _add(writer, f"{quantity}/{point.layer}", histogram, point.step)


def _add(writer: SummaryWriter, tag: str, histogram: Histogram, step: int) -> None:
    """Add equal bins; sums are of the bins' middles, as the values themselves are not kept."""
    counts = np.array(histogram.counts, dtype=float)
    edges = np.linspace(histogram.low, histogram.high, len(counts) + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    writer.add_histogram_raw(
        tag,
        min=histogram.low,
        max=histogram.high,
        num=counts.sum(),
        sum=(counts * middles).sum(),
        sum_squares=(counts * middles**2).sum(),
        bucket_limits=edges[1:].tolist(),
        bucket_counts=counts.tolist(),
        global_step=step,
    )


if __name__ == "__main__":
    sys.exit(main())
