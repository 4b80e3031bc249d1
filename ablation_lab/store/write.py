"""Records in, tracked runs out: experiment ``<study>.replicates``, one run per trained run.

Written in few calls, from the runner, while workers train: a stack's runs in one transaction.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
from mlflow.entities import Metric, Param
from numpy.typing import NDArray

from ablation_lab.errors import redact
from ablation_lab.store import process
from ablation_lab.store.client import Store, milliseconds
from ablation_lab.store.declared import entries_of
from ablation_lab.store.items import write_hits
from ablation_lab.store.pages import HERE
from ablation_lab.store.pictures import write_grid
from ablation_lab.store.runs import count_finished, finished_runs, stored_runs
from ablation_lab.store.tags import (
    LEVELS,
    NOTE,
    REFERENCES,
    File,
    Kind,
    Tag,
    having,
    plain,
    replicates_of,
)
from ablation_lab.store.writers import Entry, Item, writer_for
from ablation_lab.study.files import flat
from ablation_lab.study.names import key_of
from ablation_lab.study.protocol import next_entry
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run, TrainerName

LONGEST, MOST = 6000, 100  # letters of a parameter, parameters in one call: MLflow takes no more


class Tracker:
    """Writes runs to a store, and what is declared of them."""

    def __init__(self, uri: str, artifacts: Path | None) -> None:
        self._store = Store(uri, artifacts)
        self._client = self._store.client
        self._writer = writer_for(self._client)

    def finished(self, study: str) -> dict[str, str]:
        """Return key → MLflow run id of every finished run of the study."""
        return finished_runs(stored_runs(self._store.uri, [study]))[study]

    def cleanup(self, study: str, cells: Collection[str]) -> int:
        """Delete runs that were cut off half-way (they hold no result); return their number.

        ``cells`` are leased by the caller, so that nobody is writing any of their runs.
        """
        deleted = 0
        for run in self._store.search(replicates_of(study), "attributes.status = 'RUNNING'"):
            if run.data.tags.get(Tag.CELL) in cells:
                self._client.delete_run(run.info.run_id)
                deleted += 1
        return deleted

    def declare(self, study: str, profile: str, declaration: Mapping[str, Any]) -> None:
        """Keep the declared grid with the study's report run, and see that runs can be written.

        What it promises is sealed by the first declaration, and amended by those that change it.
        """
        self._store.settle()
        with self._store.alone():
            self._store.experiment(replicates_of(study))
            run = self._store.report_run(study, profile)
            text = json.dumps(declaration, sort_keys=True, indent=1)
            self._client.log_text(run, text, File.DECLARATION)
            self._client.set_tag(run, NOTE, declaration["question"])
            self._seal(run, study, profile, declaration)

    def _seal(self, run_id: str, study: str, profile: str, declaration: Mapping[str, Any]) -> None:
        entry = next_entry(
            entries_of(self._store, [run_id]).values(),
            declaration,
            time=datetime.now(UTC).isoformat(),
            finished=lambda: count_finished(self._store.uri, study, profile),
        )
        if entry is not None:
            name = f"{File.PROTOCOL}/{entry.digest}.json"
            self._client.log_text(run_id, entry.model_dump_json(indent=1), name)

    def keep_references(self, text: str) -> None:
        """Keep the reference values, which the report needs whole."""
        self._store.settle()
        tags = {Tag.KIND: Kind.REFERENCES}
        with self._store.alone():
            known = next(self._store.search(REFERENCES, having(tags)), None)
            run = known or self._client.create_run(
                self._store.experiment(REFERENCES), run_name="reference values", tags=plain(tags)
            )
            self._client.log_text(run.info.run_id, text, File.REFERENCES)
            if known is None:
                self._client.set_terminated(run.info.run_id)

    def look(self) -> None:
        """See that the store is there. Errors: ``StoreError``, or what a server gives."""
        self._store.look()

    def write(self, records: Sequence[Record]) -> list[str]:
        """Track records at once, as they are; return their MLflow run ids, in order."""
        with tempfile.TemporaryDirectory() as folder:
            entries = [entry_of(record) for record in records]
            places = [Path(folder, entry.run_id) for entry in entries]
            files = [write_files(*each) for each in zip(records, places, strict=True)]
            studies = [record.run.study for record in records]
            return self.send(list(zip(studies, zip(entries, files, strict=True), strict=True)))

    def send(self, items: Sequence[tuple[str, Item]], *, again: bool = False) -> list[str]:
        """Have the store keep runs, each with its study; return their MLflow run ids, in order.

        On a database store the runs of a study are all there, or none of them. What is sent
        ``again`` is kept once.
        """
        self._store.settle()
        sent: dict[int, str] = {}
        for study in dict.fromkeys(study for study, _ in items):
            places = [n for n, (of, _) in enumerate(items) if of == study]
            experiment = self._store.experiment(replicates_of(study))
            cells = self._store.experiment(study)
            for n in places:
                items[n][1][0].tags.update(_note(items[n][1][0].tags, cells))
            run_ids = self._writer.write(experiment, [items[n][1] for n in places], again=again)
            sent.update(zip(places, run_ids, strict=True))
        return [sent[n] for n in range(len(items))]

    def place(self, run_id: str, name: str) -> str:
        """Say where a file of a run lies: its path from here, or of which run a server has it."""
        uri = self._client.get_run(run_id).info.artifact_uri
        if not uri.startswith("file:"):
            return f"{name} of MLflow run {run_id}"
        path, here = Path(url2pathname(urlsplit(uri).path), name), Path.cwd()
        return str(path.relative_to(here) if path.is_relative_to(here) else path)

    def logits(self, run_id: str) -> NDArray[np.float32]:
        """Return the stored test logits (N, C) of a member of ensembles."""
        with (
            self._store.file(run_id, File.LOGITS) as path,
            np.load(path, allow_pickle=False) as stored,
        ):
            values: NDArray[np.float32] = stored["logits"]
        return values


def entry_of(record: Record) -> Entry:
    """Describe a record; one that never started (its worker died) has the time of now."""
    run = record.run
    started = record.started or time.time()
    ended = milliseconds(started + record.seconds)
    return Entry(
        name=LEVELS.join([*run.factors.values(), f"replicate {run.replicate}"]),
        status="FINISHED" if record.status is Status.FINISHED else "FAILED",
        started=milliseconds(started),
        ended=ended,
        tags=_tags(record),
        params=[Param(name, text) for name, text in _params(run).items()],
        metrics=list(_metrics(record, ended)),
    )


def _note(tags: Mapping[str, str], cells: str) -> dict[str, str]:
    """What a reader sees above a run: the way to its cell, in the experiment of cells."""
    wanted = {tag: tags[tag] for tag in (Tag.PROFILE, Tag.CELL)} | {Tag.KIND: Kind.CELL}
    return {NOTE: f"[Its cell]({HERE.having(cells, wanted)})"}


def _params(run: Run) -> dict[str, str]:
    """The whole configuration, and the levels under the names of their factors."""
    levels = {key_of(name): level for name, level in run.factors.items()}
    whole = {
        ".".join(map(key_of, name.split("."))): value
        if isinstance(value, str)
        else json.dumps(value)
        for name, value in flat(run.config)
    }
    made = {name: text[:LONGEST] for name, text in (levels | whole | levels).items() if text}
    return dict(islice(made.items(), MOST))


def _tags(record: Record) -> dict[str, str]:
    run = record.run
    said = {**record.provenance, "reason": redact(record.reason)}
    tags = {
        Tag.KEY: run.key,
        Tag.STUDY: run.study,
        Tag.PROFILE: run.profile,
        Tag.CELL: run.cell,
        Tag.REPLICATE: str(run.replicate),
        Tag.STATUS: record.status.value,
        Tag.RULE: record.not_converged.value,
        Tag.TRAINER: record.trainer.value,
        Tag.WRITER: process.name(),
        Tag.CONFIG: json.dumps(run.config, sort_keys=True),
        Tag.PROVENANCE: json.dumps(said, sort_keys=True),
    }
    if run.tuned:
        tags[Tag.TUNED] = json.dumps(run.tuned, sort_keys=True)
    if record.error:
        tags[Tag.ERROR] = redact(record.reason)
    return plain(tags)


def _metrics(record: Record, ended: int) -> Iterator[Metric]:
    for name, points in record.curves.items():
        for step, value in points:
            yield Metric(name, value, ended, step)
    numbers = {**record.metrics, "not_converged": float(bool(record.not_converged))}
    if record.trainer is not TrainerName.IMPORTED:  # of those nobody knows
        numbers |= {"steps": float(record.steps), "seconds": record.seconds}
    if record.not_converged_step is not None:
        numbers["not_converged_step"] = float(record.not_converged_step)
    for name, value in numbers.items():
        yield Metric(name, value, ended, record.steps)


def write_files(record: Record, folder: Path) -> Path | None:
    """Put what MLflow keeps as files into a folder; None if there is nothing."""
    arrays = (record.logits, record.images, record.hits)
    texts = record.error or record.probed or record.files
    if all(each is None for each in arrays) and not texts:
        return None
    if record.files:
        shutil.move(record.files, folder)
    folder.mkdir(exist_ok=True)
    if record.probed:
        (folder / File.PROBED).write_text(record.probed, encoding="utf-8")
    if record.logits is not None:
        np.savez_compressed(folder / File.LOGITS, logits=record.logits)
    if record.hits is not None:
        write_hits(record.hits, folder / File.HITS)
    if record.images is not None:
        write_grid(record.images, folder / File.SAMPLES)
    if record.error:
        (folder / File.TRACEBACK).write_text(redact(record.error), encoding="utf-8")
    return folder
