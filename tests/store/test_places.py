"""A place that cannot be written is one line, and stays as it is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ablation_lab.errors import StoreError
from ablation_lab.store.places import validate_file, validate_folder, validate_queue
from ablation_lab.store.write import Tracker

NOBODY = 65534


@pytest.fixture
def guarded() -> Iterator[Path]:
    """Return a folder in which this process may not write, even if it is root's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "mlflow.db").touch()
        for path, mode in ((folder / "mlflow.db", 0o444), (folder, 0o555)):
            path.chmod(mode)
        root = os.getuid() == 0
        if root:
            os.setresuid(NOBODY, NOBODY, 0)
        try:
            yield folder
        finally:
            if root:
                os.setresuid(0, 0, 0)
            folder.chmod(0o755)


def test_a_store_that_may_not_be_written(guarded: Path) -> None:
    path = guarded / "mlflow.db"
    with pytest.raises(StoreError) as error:
        Tracker(f"sqlite:///{path}", None)
    line = f"store {path}: not writable; set tracking.uri to one that is"
    assert str(error.value) == line
    assert path.stat().st_size == 0


def test_a_place_where_nothing_may_be_created(guarded: Path) -> None:
    for refused in (
        lambda: validate_file(f"sqlite:///{guarded}/a/b.db", "queue", "tracking.queue"),
        lambda: validate_folder(guarded / "a" / "b", "reports"),
        lambda: validate_folder(guarded, "reports"),
    ):
        with pytest.raises(StoreError, match=f"{guarded} is no folder that can be written; set "):
            refused()


@pytest.mark.parametrize(
    ("uri", "line"),
    [
        ("runs/queue.db", "tracking.queue: expected an address such as sqlite:///runs/queue.db"),
        (
            "sqlite:///{}/file",
            "queue {}/file: not an SQLite database; move it away, or set track",
        ),
        ("sqlite:///{}", "queue {}: not an SQLite database; move it away, or set tracking.queue"),
        ("nosql://me:secret@host", "tracking.queue: no address of a database: 'nosql://me:***@ho"),
    ],
)
def test_a_queue_that_is_none(tmp_path: Path, uri: str, line: str) -> None:
    (tmp_path / "file").write_text("no database, " * 100)
    with pytest.raises(StoreError) as error:
        validate_queue(uri.format(tmp_path))
    assert str(error.value).startswith(line.format(tmp_path))


def test_what_can_be_written_passes_and_nothing_is_created(tmp_path: Path) -> None:
    validate_queue(f"sqlite:///{tmp_path}/runs/queue.db")
    validate_folder(tmp_path / "reports" / "deep", "reports")
    assert list(tmp_path.iterdir()) == []
