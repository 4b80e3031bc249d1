"""What did not change is taken over, and nobody can tell: the bytes are those of a fresh report."""

from __future__ import annotations

import filecmp
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ablation_lab.report.report import write_report
from ablation_lab.report.study import Stored, Study, stored

LONG_AGO = 1_000_000_000


@pytest.fixture(scope="module")
def chosen(studies: dict[str, Study]) -> list[Study]:
    """Two studies of the golden store."""
    return [studies["ladder"], studies["keep_prob"]]


@pytest.fixture(scope="module")
def written(chosen: list[Study], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of both, in a folder of reports."""
    return write_report(chosen, profile="quick", reports=tmp_path_factory.mktemp("reports")).parent


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """The same report, every file of which was written long ago."""
    copy = Path(shutil.copytree(written, tmp_path / "quick"))
    for path in copy.rglob("*"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    return copy


def drawn_again(folder: Path) -> set[str]:
    """The studies of which a figure is new."""
    return {
        path.parent.name
        for path in folder.glob("*/figure_*.svg")
        if path.stat().st_mtime > LONG_AGO
    }


def other_question(study: Study) -> Study:
    changed = study.declaration.model_copy(update={"question": "Does it matter?"})
    return replace(study, declaration=changed)


def other_run(study: Study) -> Study:
    frame = study.frame.copy()
    frame.loc[0, "test_accuracy"] = 0.5
    return replace(study, frame=frame)


@pytest.mark.parametrize("change", [other_question, other_run])
def test_only_what_changed_is_made_again_and_the_bytes_are_those_of_a_fresh_report(
    chosen: list[Study], folder: Path, change: Callable[[Study], Study], tmp_path: Path
) -> None:
    now = [chosen[0], change(chosen[1])]
    write_report(now, profile="quick", reports=folder.parent)
    assert drawn_again(folder) == {"keep_prob"}
    fresh = write_report(now, profile="quick", reports=tmp_path / "fresh").parent
    names = {str(path.relative_to(fresh)) for path in fresh.rglob("*") if path.is_file()}
    assert names == {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert filecmp.cmpfiles(folder, fresh, sorted(names), shallow=False)[1:] == ([], [])


@pytest.mark.parametrize("lost", [".stamp", "section.json", "../ladder.pdf"])
def test_what_is_lost_or_damaged_is_made_again_quietly(
    chosen: list[Study], folder: Path, lost: str
) -> None:
    if lost.endswith("pdf"):
        (folder / "ladder" / lost).unlink()
    else:
        (folder / "ladder" / lost).write_bytes(b"\xff{")
    write_report(chosen, profile="quick", reports=folder.parent)
    assert drawn_again(folder) == {"ladder"}


def test_a_study_whose_rows_are_as_they_were_is_taken_over_without_being_read(
    golden_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Path(shutil.copy(golden_uri.removeprefix("sqlite:///"), tmp_path / "mlflow.db"))
    chosen = stored(f"sqlite:///{place}", "quick", only=["ladder", "keep_prob"])
    first = write_report(chosen, profile="quick", reports=tmp_path / "reports").parent
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    read: list[str] = []
    load = Stored.read

    def seen(study: Stored) -> Study:
        read.append(study.name)
        return load(study)

    monkeypatch.setattr(Stored, "read", seen)
    write_report(chosen, profile="quick", reports=tmp_path / "reports")
    assert read == []
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == before

    with closing(sqlite3.connect(place)) as store, store:
        store.execute(
            "UPDATE latest_metrics SET value = value * 0.99 WHERE key = 'test_accuracy' "
            "AND run_uuid IN (SELECT run_uuid FROM runs JOIN experiments USING (experiment_id) "
            "WHERE experiments.name = 'ladder.replicates')"
        )
    write_report(chosen, profile="quick", reports=tmp_path / "reports")
    assert read == ["ladder"]
    assert (first / "ladder" / "runs.csv").read_bytes() != before[first / "ladder" / "runs.csv"]

    (first / "keep_prob" / ".told.json").write_text("{")
    write_report(chosen, profile="quick", reports=tmp_path / "reports")
    assert read == ["ladder", "keep_prob"]


def test_links_to_another_server_are_other_pages(chosen: list[Study], folder: Path) -> None:
    other = "http://127.0.0.1:7"
    write_report(chosen[:1], profile="quick", reports=folder.parent, base_url=other, beside=True)
    assert drawn_again(folder) == {"ladder"}
