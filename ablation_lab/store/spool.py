"""Runs that are over, on disk before they are sent: a store that is away loses none of them.

A spool is a folder of one runner, ``spool/STORE-TOKEN`` beside the queue, whose lock it holds while
it lives. ``runs.jsonl`` begins with a line that says which leases its runs were trained under; then
comes a line for each run, and what MLflow keeps as files lies in a folder of the run. What was sent
is forgotten. A folder that is there and not locked is what a runner left. Each line begins with its
checksum: nothing that a disk garbled enters a store.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from mlflow.entities import Metric, Param

from ablation_lab.errors import StoreError
from ablation_lab.store.connect import spool_of, spools
from ablation_lab.store.write import entry_of, write_files
from ablation_lab.store.writers import Entry
from ablation_lab.study.record import Record

RUNS, LOCK = "runs.jsonl", "lock"
PATIENCE = 10.0  # seconds for who looks whether a spool was left
Leased = Mapping[str, Mapping[str, Any]]  # study -> by what its queue is opened again


@dataclass(frozen=True)
class Spooled:
    """A run that is over: whose it is, what its queue is told, what MLflow keeps."""

    study: str
    cell: str
    replicate: int
    key: str
    value: float
    entry: Entry
    files: Path | None = None


class Spool:
    """The spool of this runner, or one that another has left; one thread adds, one sends."""

    def __init__(self, folder: Path, leased: Leased) -> None:
        self.folder, self.leased = folder, leased
        self.is_whole = True  # what was left may not be
        self._lock = FileLock(folder / LOCK)
        self._guard = threading.Lock()
        self._file: FileIO | None = None
        # Of the file: where the runs begin, to where they were sent, to where they are whole.
        self._begin = self._sent = self._end = 0
        self._waiting = 0

    def __len__(self) -> int:
        """How many runs wait to be sent."""
        return self._waiting

    def add(self, records: Sequence[tuple[Record, float]]) -> list[str]:
        """Write records down, with what their queues are told of them; return the names of runs.

        Errors: OSError where the disk has no room, with nothing added.
        """
        if not records:
            return []
        file = self._file or self._begun()
        self._look(file)
        spooled = [self._spooled(record, value) for record, value in records]
        lines = b"".join(_line(run) for run in spooled)
        with self._guard:
            try:
                file.seek(self._end)
                rest = lines
                while rest:
                    rest = rest[file.write(rest) :]
            except OSError:
                file.truncate(self._end)
                raise
            self._end += len(lines)
            self._waiting += len(spooled)
        return [run.entry.run_id for run in spooled]

    def next(self, most: int) -> list[Spooled]:
        """Return the first runs that wait, at most so many; they are safe from a power cut now."""
        if self._file is None:
            return []
        self._look(self._file)
        with self._guard, (self.folder / RUNS).open("rb") as lines:
            os.fsync(self._file.fileno())
            lines.seek(self._sent)
            first = list(islice(lines, most))
        return [self._with_files(_read(line)) for line in first]

    def forget(self, runs: Sequence[Spooled]) -> None:
        """Forget the first runs, which the store has."""
        for run in runs:
            if run.files is not None:
                shutil.rmtree(run.files, ignore_errors=True)
        with self._guard, (self.folder / RUNS).open("rb") as lines:
            lines.seek(self._sent)
            self._sent += sum(map(len, islice(lines, len(runs))))
            self._waiting -= len(runs)
            if self._file and not self._waiting:
                self._file.truncate(self._begin)
                self._sent = self._end = self._begin

    def close(self) -> None:
        """Let go of the spool; one in which nothing waits goes."""
        if self._file is None:
            return
        self._file.close()
        if not self._waiting:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()
        with suppress(OSError):  # others lie beside it
            self.folder.parent.rmdir()

    def take(self) -> bool:
        """Take a spool that was left; return whether its runner is gone."""
        try:
            self._lock.acquire(timeout=0)
        except (Timeout, OSError):
            return False
        try:
            self._file = (self.folder / RUNS).open("r+b", buffering=0)
        except OSError:  # its runner is about to begin it
            self._lock.release()
            return False
        # A line that a kill cut short is none.
        lines = self._file.readall().splitlines(keepends=True)
        lines = lines if lines and lines[-1].endswith(b"\n") else lines[:-1]
        self.is_whole = all(_value(line) is not None for line in lines)
        lines = lines if self.is_whole else []
        self.leased = _value(lines[0]) if lines else {}
        self._begin = self._sent = sum(map(len, lines[:1]))
        self._end, self._waiting = sum(map(len, lines)), len(lines[1:])
        if self.is_whole:
            self._file.truncate(self._end)
        return True

    def refuse(self) -> Path:
        """Put a spool aside that the store will never take; return where it is."""
        aside = self.folder.with_name(f"refused-{self.folder.name}")
        self.folder.rename(aside)
        return aside

    def _begun(self) -> FileIO:
        self.folder.mkdir(parents=True)
        self._lock.acquire(timeout=PATIENCE)
        self._file = (self.folder / RUNS).open("x+b", buffering=0)
        self._begin = self._sent = self._end = self._file.write(_dumped(self.leased))
        return self._file

    def _look(self, file: FileIO) -> None:
        if not os.fstat(file.fileno()).st_nlink:
            raise StoreError(f"{self.folder}: was deleted while its runs were trained")

    def _spooled(self, record: Record, value: float) -> Spooled:
        run, entry = record.run, entry_of(record)
        files = write_files(record, self.folder / entry.run_id)
        return Spooled(run.study, run.cell, run.replicate, run.key, value, entry, files)

    def _with_files(self, run: Spooled) -> Spooled:
        folder = self.folder / run.entry.run_id
        if not folder.is_dir():
            return run
        for path in folder.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        return replace(run, files=folder)


def new(tracking_uri: str, queue_uri: str, leased: Leased) -> Spool:
    """Return the spool of a runner, which takes no room before its first run."""
    place = spool_of(tracking_uri, queue_uri)
    return Spool(place.with_name(f"{place.name}-{uuid.uuid4().hex[:12]}"), leased)


def left(tracking_uri: str, queue_uri: str) -> Iterator[Spool]:
    """Yield the spools that runners left, each taken for this process."""
    for path in spools(tracking_uri, queue_uri):
        spool = Spool(path, {})
        if spool.take():
            yield spool


def _dumped(value: object) -> bytes:
    text = json.dumps(value).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _value(line: bytes) -> Any:
    """Return what a line says, None where it is not as it was written."""
    digest, _, text = line.rstrip(b"\n").partition(b" ")
    return json.loads(text) if digest == b"%08x" % zlib.crc32(text) else None


def _line(run: Spooled) -> bytes:
    entry = vars(run.entry) | {
        "params": [[each.key, each.value] for each in run.entry.params],
        "metrics": [[m.key, m.value, m.timestamp, m.step] for m in run.entry.metrics],
    }
    return _dumped(vars(run) | {"entry": entry, "files": None})


def _read(line: bytes) -> Spooled:
    said = _value(line)
    entry = said["entry"]
    params = [Param(*each) for each in entry["params"]]
    metrics = [Metric(*each) for each in entry["metrics"]]
    return Spooled(**said | {"entry": Entry(**entry | {"params": params, "metrics": metrics})})
