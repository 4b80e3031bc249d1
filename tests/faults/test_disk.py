"""A disk that is full, or not to be written, at any moment of a call: one line, no loss."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.lab import Outcome, clean_environment, ended, wait_until
from tests.faults.disk import Disk, mounted
from tests.faults.lab import Many, Results

pytestmark = pytest.mark.slow


@pytest.fixture
def disk(many: Many, tmp_path: Path) -> Iterator[Disk]:
    """Put the stores of the study on a disk of their own."""
    runs = many.lab.folder / "runs"
    kept = shutil.move(runs, tmp_path / "kept")
    with mounted(runs) as made:
        shutil.copytree(kept, runs, dirs_exist_ok=True)
        yield made


def check_ended(outcome: Outcome) -> None:
    """See that a call ended in few lines that say what to do, of which none is a traceback."""
    assert outcome.status in (1, 2), outcome
    assert "Traceback" not in outcome.err
    assert "defect" not in outcome.err, outcome
    assert 1 <= outcome.err.count("\n") <= 3, outcome


def check_next(many: Many, undisturbed: Results) -> None:
    last = many.call()
    assert (last.status, last.err) == (0, "")
    many.assert_whole(undisturbed)


@pytest.mark.parametrize("but", [0, 30_000, 200_000])
@pytest.mark.parametrize("moment", ["creation", "begin", "training"])
def test_a_full_disk_is_said_and_the_next_call_does_the_rest(
    many: Many, disk: Disk, undisturbed: Results, moment: str, but: int
) -> None:
    if moment == "creation":
        for path in disk.folder.glob("*.db*"):
            path.unlink()
    if moment == "training":
        runner = many.start_and_train(2)
        disk.fill(but)
    else:
        disk.fill(but)
        runner = many.start()
    outcome = ended(runner)
    if outcome.status:  # what is left may be enough
        check_ended(outcome)
    disk.empty()
    check_next(many, undisturbed)


def test_a_full_disk_under_the_report_keeps_the_runs(
    many: Many, tmp_path: Path, undisturbed: Results
) -> None:
    with mounted(many.lab.folder / "reports") as disk:
        disk.fill(100_000)
        outcome = ended(many.start("reports=reports"))
        check_ended(outcome)
        disk.empty()
        many.assert_whole(undisturbed)
        assert ended(many.start("reports=reports")).status == 0


def test_a_disk_that_cannot_be_written_is_said_before_anything_starts(
    many: Many, disk: Disk, undisturbed: Results
) -> None:
    disk.set_writable(False)
    outcome = ended(many.start())
    check_ended(outcome)
    assert outcome.status == 2
    disk.set_writable(True)
    check_next(many, undisturbed)


# The clock of a runner and its workers, which a file sets.
CLOCK = """
import time
from pathlib import Path
_time, _file = time.time, Path({file!r})
def _set():
    try:
        return _time() + float(_file.read_text() or 0)
    except (OSError, ValueError):
        return _time()
time.time = _set
time.time_ns = lambda: int(1e9 * _set())
"""


@pytest.mark.parametrize("jump", [-86_400, 86_400])
def test_a_clock_that_jumps_in_a_call_changes_nothing(
    many: Many, undisturbed: Results, jump: int
) -> None:
    place = many.lab.folder / "site"
    place.mkdir()
    (place / "sitecustomize.py").write_text(CLOCK.format(file=str(place / "jump")))
    before = clean_environment(many.lab.folder)["PYTHONPATH"]
    runner = many.start(PYTHONPATH=f"{place}:{before}")
    wait_until(lambda: runner.poll() is not None or many.finished() > 2, what="runs")
    (place / "jump").write_text(str(jump))
    outcome = ended(runner)
    assert (outcome.status, outcome.err) == (0, "")
    many.assert_whole(undisturbed)
