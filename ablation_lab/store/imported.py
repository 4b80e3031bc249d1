"""Imported studies in the store: one table of runs beside the declaration, no run of MLflow each.

In: an ``ImportedStudy``. Out: the same, from the store. A row that somebody else wrote has nothing
that MLflow could show of it but its numbers, and 100,000 of them would take a minute and 460 MB as
runs; as a table they take a second and 2 MB. What MLflow shows are the cells, as of every study.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pandas as pd

from ablation_lab.errors import StoreError
from ablation_lab.store.client import Store
from ablation_lab.store.frame import typed
from ablation_lab.store.importing import ImportedStudy
from ablation_lab.store.tags import NOTE, File, Tag
from ablation_lab.study.declaration import Declaration


def keep_imported(store: Store, study: ImportedStudy) -> None:
    """Keep a study with its study's report run; what was imported under its name before goes.

    Nothing is sealed: its runs were there before what is asked of them.
    """
    declaration = study.declaration
    store.settle()
    with store.alone(), tempfile.TemporaryDirectory() as folder:
        run = store.report_run(declaration.study, declaration.profile)
        study.frame.to_parquet(Path(folder, File.RUNS))
        study.curves.to_parquet(Path(folder, File.CURVES))
        text = json.dumps(declaration.model_dump(mode="json"), sort_keys=True, indent=1)
        Path(folder, File.DECLARATION).write_text(text, encoding="utf-8")
        store.client.log_artifacts(run, folder)
        store.client.set_tag(run, NOTE, declaration.question)
        store.client.set_tag(run, Tag.IMPORTED, str(declaration.imported))


def load_imported(uri: str, declaration: Declaration) -> ImportedStudy:
    """Return what was kept. Errors: ``StoreError`` where the table is lost."""
    store = Store(uri)
    run = store.report_run(declaration.study, declaration.profile)
    if not store.has(run, File.RUNS):
        raise StoreError(
            f"experiment {declaration.study}: the runs of {declaration.imported} are lost; import "
            "them again"
        )
    with store.file(run, File.RUNS) as runs, store.file(run, File.CURVES) as curves:
        frame, points = pd.read_parquet(runs), pd.read_parquet(curves)
    return ImportedStudy(declaration, typed(frame, declaration), points)
