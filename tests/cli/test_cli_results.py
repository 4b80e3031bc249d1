"""A packed store: unpacked, and reported again without training anything."""

from __future__ import annotations

import csv
import lzma
import shutil
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from experiments import unpack
from tests.cli.lab import Finished, Lab

STUDIES = ["gain", "my_study", "width"]
KEPT = "runs/results-smoke"
PLACES = (
    f"tracking.uri=sqlite:///{KEPT}/mlflow.db",
    f"tracking.artifacts={KEPT}/artifacts",
    f"tracking.queue=sqlite:///{KEPT}/queue.db",
)


def pack(lab: Lab) -> None:
    """Pack the lab's store as ``docs/results`` has it, and take it away."""
    folder = lab.folder / "docs" / "results" / "smoke"
    folder.mkdir(parents=True)
    with closing(sqlite3.connect(lab.folder / "runs" / "mlflow.db")) as store:
        store.execute("VACUUM INTO ?", (str(folder / "mlflow.db"),))
    (folder / "mlflow.db.xz").write_bytes(lzma.compress((folder / "mlflow.db").read_bytes()))
    (folder / "mlflow.db").unlink()
    shutil.rmtree(lab.folder / "runs")
    (lab.folder / "runs").mkdir()


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_an_unpacked_store_is_reported_and_nothing_is_trained(
    lab: Lab, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lost,) = [run for run in lab.runs("width") if run.name == ("width=2,activation=relu", 1)]
    MlflowClient(lab.uri).delete_run(lost.run_id)
    pack(lab)
    elsewhere = files(finished.lab.folder / "runs" / "artifacts")
    monkeypatch.chdir(lab.folder)
    assert unpack.unpack("smoke") == STUDIES

    names = f"study=[{','.join(STUDIES)}]"
    call = lab.call(names, "now.minutes=0", *PLACES)
    assert (call.status, call.err) == (0, "")
    assert "22 runs: 21 done, 0 to do" in call.out
    assert "1 left for later" in call.out
    with (lab.folder / "reports/smoke/width/runs.csv").open(encoding="utf-8") as file:
        found = Counter(row["status"] for row in csv.DictReader(file))
    assert found == {"finished": 7, "missing": 1}
    # It writes beside the unpacked store, opens no ledger, and touches no other store.
    assert {path.name for path in (lab.folder / "runs").iterdir()} == {"results-smoke"}
    assert not (lab.folder / KEPT / "queue.db").exists()
    assert "declaration.json" in {path.name for path in files(lab.folder / KEPT / "artifacts")}
    assert files(finished.lab.folder / "runs" / "artifacts") == elsewhere

    # What is unpacked stays, with what was written to it.
    (lab.folder / "docs/results/smoke/mlflow.db.xz").unlink()
    assert unpack.unpack("smoke") == STUDIES


def test_a_profile_without_a_store_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["unpack", "quick"])
    assert unpack.main() == 2
    said = "error: no docs/results/quick/mlflow.db.xz; no store of this profile is kept\n"
    assert capsys.readouterr().err == said
    assert list(tmp_path.iterdir()) == []
