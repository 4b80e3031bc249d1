"""A copy of a lab at work goes on elsewhere, and has every run once."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ablation_lab import Server
from tests.cli.lab import wait_until
from tests.service.lab import Service, study

LONG = 12_000  # steps: several seconds, however quick the machine is
ROWS = ("cell", "replicate", "status", "success")


def rows(service: Service, name: str) -> list[tuple[str, ...]]:
    text = Server(service.url).study(name).wait().text("runs.csv")
    return sorted(tuple(row[key] for key in ROWS) for row in csv.DictReader(io.StringIO(text)))


@pytest.fixture
def copy(service: Service, tmp_path: Path) -> Iterator[tuple[str, Service]]:
    """A study that was at work when it was copied, and the service of the copy."""
    path = service.declare("long", study("Copied at work", steps=LONG))
    asked = Server(service.url).submit(path, profile="smoke")
    wait_until(lambda: asked.state == "running", what="it trains")
    file = tmp_path / "lab.tar.gz"
    made = service.call("backup", str(file))
    assert made.returncode == 0, made.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    assert asked.state == "running"
    folder = tmp_path / "elsewhere"
    shutil.copytree(service.folder / "conf", folder / "conf")
    there = service.call("restore", str(file), "--project", str(folder))
    assert there.returncode == 0, there.stderr
    again = service.call("restore", str(file), "--project", str(folder))
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "is not empty" in again.stderr
    other = Service(folder)
    yield asked.id, other
    assert other.stop() in (0, 143)


def test_a_study_that_was_copied_at_work_goes_on(
    service: Service, copy: tuple[str, Service]
) -> None:
    name, other = copy
    assert rows(other, name) == rows(service, name)
    assert len(rows(other, name)) == 4
    reasons = [each["reason"] for each in Server(other.url).study(name).known["changes"]]
    assert "restored from a backup" in reasons
    assert [each["study"] for each in Server(other.url).studies()].count("long") == 1


def test_what_is_no_backup_changes_nothing(service: Service, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(b"\x1f\x8b\x08nothing")
    shutil.copytree(service.folder / "conf", tmp_path / "conf")
    for file in (broken, tmp_path / "absent"):
        call = service.call("restore", str(file), "--project", str(tmp_path))
        assert (call.returncode, call.stderr.count("\n")) == (2, 1), call.stderr
        assert "no whole backup" in call.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.tar.gz", "conf"]
