"""Records in, tracked runs out: experiment ``<study>.replicates``, one run per trained run.

Written in few calls, from the driver, while workers train: a stack's runs in one transaction.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablation_lab.store import process
from ablation_lab.store.entry import entry_of
from ablation_lab.store.images import write_grid
from ablation_lab.store.store import Store, of_kind
from ablation_lab.store.writers import writer_for
from ablation_lab.study.record import Record

LOGITS = "test_logits.npz"
SAMPLES = "samples.png"
OBSERVATION = "observation.json"
TRACEBACK = "traceback.txt"
DECLARATION = "declaration.json"
LEDGER = "claims"  # the experiment that holds the ledger of printed claims


class Tracker:
    """Writes runs to a store, and knows which it has."""

    def __init__(self, uri: str, artifacts: Path | None) -> None:
        self._store = Store(uri, artifacts)
        self._client = self._store.client
        self._writer = writer_for(self._client)

    def finished(self, study: str) -> dict[str, str]:
        """Return key → MLflow run id of every finished run of the study."""
        return {key: run for key, run, status in self.ended(study) if status == "FINISHED"}

    def ended(self, study: str) -> list[tuple[str, str, str]]:
        """Return key, MLflow run id and status of every run of the study that ended."""
        return [
            (run.data.tags["ablation.key"], run.info.run_id, run.info.status)
            for run in self._store.search(f"{study}.replicates", "tags.`ablation.key` LIKE '%'")
            if run.info.status in ("FINISHED", "FAILED")
        ]

    def sweep(self, study: str) -> int:
        """Delete runs whose writer died half-way (they hold no result); return their number."""
        swept = 0
        for run in self._store.search(f"{study}.replicates", "attributes.status = 'RUNNING'"):
            if process.is_alive(run.data.tags.get("ablation.driver", "")) is False:
                self._client.delete_run(run.info.run_id)
                swept += 1
        return swept

    def declare(self, study: str, profile: str, declaration: Mapping[str, Any]) -> None:
        """Keep the declared grid with the study's report run, if it changed."""
        run = self._store.report_run(study, profile)
        text = json.dumps(declaration, sort_keys=True, indent=1)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / DECLARATION
            path.write_text(text, encoding="utf-8")
            self._client.log_artifact(run, str(path))
        self._client.set_tag(run, "mlflow.note.content", declaration["question"])

    def keep_ledger(self, text: str) -> None:
        """Keep the ledger of printed claims, which the report needs whole."""
        runs = self._store.search(LEDGER, "tags.`ablation.kind` = 'ledger'")
        known = next((run.info.run_id for run in runs), None)
        run = (
            known
            or self._client.create_run(
                self._store.experiment(LEDGER), run_name="ledger", tags={"ablation.kind": "ledger"}
            ).info.run_id
        )
        self._client.log_text(run, text, "claims.json")
        if known is None:
            self._client.set_terminated(run)

    def declared(self, study: str, profile: str) -> dict[str, Any] | None:
        """Return the declared grid that the store holds, or None."""
        runs = self._store.search(study, of_kind("report", profile))
        for run in runs:
            names = [entry.path for entry in self._client.list_artifacts(run.info.run_id)]
            if DECLARATION in names:
                path = self._client.download_artifacts(run.info.run_id, DECLARATION)
                value: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
                return value
        return None

    def write(self, records: Sequence[Record]) -> list[str]:
        """Track records; return their MLflow run ids, in order.

        On a database store the runs of a study are all there, or none of them.
        """
        written: dict[int, str] = {}
        with tempfile.TemporaryDirectory() as folder:
            for study in dict.fromkeys(record.run.study for record in records):
                places = [i for i, record in enumerate(records) if record.run.study == study]
                items = [
                    (entry_of(records[i]), _files(records[i], Path(folder, str(i)))) for i in places
                ]
                run_ids = self._writer.write(self._store.experiment(f"{study}.replicates"), items)
                written.update(zip(places, run_ids, strict=True))
        return [written[i] for i in range(len(records))]

    def logits(self, run_id: str) -> NDArray[np.float32]:
        """Return the stored test logits (N, C) of a member of ensembles."""
        path = self._client.download_artifacts(run_id, LOGITS)
        with np.load(path, allow_pickle=False) as stored:
            values: NDArray[np.float32] = stored["logits"]
        return values


def _files(record: Record, folder: Path) -> Path | None:
    """Put what MLflow keeps as files into a folder; None if there is nothing."""
    if record.logits is None and record.images is None and not (record.error or record.observation):
        return None
    folder.mkdir()
    if record.observation:
        (folder / OBSERVATION).write_text(record.observation, encoding="utf-8")
    if record.logits is not None:
        np.savez_compressed(folder / LOGITS, logits=record.logits)
    if record.images is not None:
        write_grid(record.images, folder / SAMPLES)
    if record.error:
        (folder / TRACEBACK).write_text(record.error, encoding="utf-8")
    return folder
