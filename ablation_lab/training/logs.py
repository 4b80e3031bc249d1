"""What a script logs by itself, read from its files: MLflow's, TensorBoard's, Lightning's.

Comes in: the folder of a run. Goes out: named values. None of the libraries is started: a run of
MLflow waits in a store of files of its own, whose artifacts are what the run leaves.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from ablation_lab.training.values import Series, read_table

STORE, EXPERIMENT = "mlruns", "0"
PARTS = ("metrics", "params", "tags", "artifacts")
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
run_id: {run}
run_name: {run}
run_uuid: {run}
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


def offer_mlflow(work: Path, run: str) -> Mapping[str, str]:
    """Make a store with one run that waits to be logged to; return the variables that name it."""
    store, run_id = work / STORE, run.ljust(32, "0")
    place = store / EXPERIMENT / run_id
    for part in PARTS:
        (place / part).mkdir(parents=True)
    experiment = EXPERIMENT_META.format(place=(store / EXPERIMENT).as_uri())
    (store / EXPERIMENT / "meta.yaml").write_text(experiment, encoding="utf-8")
    meta = RUN_META.format(place=(work / "out").as_uri(), run=run_id)
    (place / "meta.yaml").write_text(meta, encoding="utf-8")
    return {
        "MLFLOW_TRACKING_URI": store.as_uri(),
        "MLFLOW_RUN_ID": run_id,
        "MLFLOW_ALLOW_FILE_STORE": "true",
    }


def logged(work: Path) -> Iterator[Series]:
    """Yield the values that a run has logged, as each library keeps them."""
    for read in (_of_mlflow, _of_tensorboard, _of_lightning):
        series = Series(strict=False)
        read(work, series)
        yield series


def _of_mlflow(work: Path, series: Series) -> None:
    for folder in sorted((work / STORE).glob("*/*/metrics")):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = path.relative_to(folder).as_posix()
            lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
            # A value that was logged once, without a step, has none.
            alone = len(lines) == 1 and lines[0][2:] in ([], ["0"])
            for line in lines:
                series.add(name, line[1], None if alone else line[2], name)


def _of_tensorboard(work: Path, series: Series) -> None:
    for path in sorted((work / "out").rglob("*tfevents*")):
        from tensorboardX.proto.event_pb2 import Event

        for record in _records(path):
            event = Event.FromString(record)
            for value in event.summary.value:
                if value.WhichOneof("value") == "simple_value":
                    series.add(value.tag, value.simple_value, event.step, path.name)
                elif value.tensor.float_val:
                    series.add(value.tag, value.tensor.float_val[0], event.step, path.name)


def _records(path: Path) -> Iterator[bytes]:
    """Yield the records of a file of TensorBoard's, but for one that was cut off."""
    with path.open("rb") as file:
        while len(lead := file.read(BEFORE)) == BEFORE:
            (length,) = struct.unpack_from("<Q", lead)
            record = file.read(length)
            if len(file.read(AFTER)) < AFTER:
                return
            yield record


def _of_lightning(work: Path, series: Series) -> None:
    for path in sorted((work / "out").glob("**/version_*/metrics.csv")):
        read_table(path, series)
