"""What a script logs by itself, read from its files: MLflow's, TensorBoard's, Lightning's.

Comes in: the folder of a run. Goes out: named values. None of the libraries is started: a run of
MLflow waits in a store of files of its worker, whose artifacts are what the run leaves; the store
is made anew when something was logged to it.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from ablation_lab.training.values import Series, read_table

EXPERIMENT, RUN = "0", f"{1:032}"
PARTS = ("metrics", "params", "tags", "artifacts")
# What lies in a store to which nothing was logged.
UNUSED = 4 + len(PARTS)
EXPERIMENT_META = """artifact_location: {place}
creation_time: 0
experiment_id: '0'
last_update_time: 0
lifecycle_stage: active
name: Default
"""
RUN_META = """artifact_uri: {place}
end_time: null
entry_point_name: ''
experiment_id: '0'
lifecycle_stage: active
run_id: '{run}'
run_name: '{run}'
run_uuid: '{run}'
source_name: ''
source_type: 4
source_version: ''
start_time: 0
status: 1
tags: []
user_id: ''
"""
# Bytes before a record of TensorBoard's, its length and a sum of that, and after it.
BEFORE, AFTER = 12, 4


def offer_mlflow(store: Path, out: Path) -> Mapping[str, str]:
    """Make a store with one run that waits to be logged to; return the variables that name it."""
    place = store / EXPERIMENT / RUN
    if not place.exists():
        for part in PARTS:
            (place / part).mkdir(parents=True)
        experiment = EXPERIMENT_META.format(place=place.parent.as_uri())
        (place.parent / "meta.yaml").write_text(experiment, encoding="utf-8")
    meta = RUN_META.format(place=out.as_uri(), run=RUN)
    (place / "meta.yaml").write_text(meta, encoding="utf-8")
    return {
        "MLFLOW_TRACKING_URI": store.as_uri(),
        "MLFLOW_RUN_ID": RUN,
        "MLFLOW_ALLOW_FILE_STORE": "true",
    }


def logged(store: Path, out: Path) -> Iterator[Series]:
    """Yield the values that a run has logged, as each library keeps them."""
    for read, folder in ((_of_mlflow, store), (_of_tensorboard, out), (_of_lightning, out)):
        series = Series(strict=False)
        read(folder, series)
        yield series


def forget(store: Path) -> None:
    """Remove a store to which something was logged."""
    if sum(1 for _ in store.rglob("*")) > UNUSED:
        shutil.rmtree(store)


def _of_mlflow(store: Path, series: Series) -> None:
    for folder in sorted(store.glob("*/*/metrics")):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = path.relative_to(folder).as_posix()
            lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
            # A value that was logged once, without a step, has none.
            alone = len(lines) == 1 and lines[0][2:] in ([], ["0"])
            for line in lines:
                series.add(name, line[1], None if alone else line[2], name)


def _of_tensorboard(out: Path, series: Series) -> None:
    for path in sorted(out.rglob("*tfevents*")):
        from tensorboardX.proto.event_pb2 import Event

        for record in _records(path):
            event = Event.FromString(record)
            for value in event.summary.value:
                if value.WhichOneof("value") == "simple_value":
                    series.add(value.tag, value.simple_value, event.step, path.name)
                elif value.tensor.float_val:
                    series.add(value.tag, value.tensor.float_val[0], event.step, path.name)


def _records(path: Path) -> Iterator[bytes]:
    """Yield the records of a file of TensorBoard's, up to one that was cut off or is none."""
    left = path.stat().st_size
    with path.open("rb") as file:
        while len(lead := file.read(BEFORE)) == BEFORE:
            (length,) = struct.unpack_from("<Q", lead)
            left -= BEFORE + length + AFTER
            if left < 0:
                return
            yield file.read(length)
            file.read(AFTER)


def _of_lightning(out: Path, series: Series) -> None:
    for path in sorted(out.glob("**/version_*/metrics.csv")):
        read_table(path, series)
