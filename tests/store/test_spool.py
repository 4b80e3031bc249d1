"""The spool: what is over is on disk as it was, is sent in order, and is forgotten when sent."""

from __future__ import annotations

import math
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ablation_lab.errors import StoreError
from ablation_lab.store import spool
from ablation_lab.store.connect import spools
from ablation_lab.store.spool import Spool, Spooled
from ablation_lab.store.write import entry_of
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run, TrainerName

LEASED = {"small": {"name": "small (smoke)", "levels": {}, "token": "a token"}}


@pytest.fixture
def records(make_run: Callable[..., Run]) -> list[Record]:
    """Return runs with everything that text loses easily: numbers, letters, arrays."""
    wild = {"train_loss": ((1, 0.1 + 0.2), (2, math.nan), (3, -math.inf), (4, 5e-324))}
    first = Record(make_run(), Status.FINISHED, TrainerName.SINGLE, curves=wild, started=1.5)
    return [
        first,
        replace(first, run=make_run(replicate=1), reason="Größe ×\n\u2028", logits=np.eye(3)),
        replace(first, run=make_run(replicate=2), status=Status.FAILED, error="Traceback\n"),
    ]


@pytest.fixture
def addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Return the addresses of a store and a queue in a project."""
    monkeypatch.chdir(tmp_path)
    return "sqlite:///runs/mlflow.db", "sqlite:///runs/queue.db"


@pytest.fixture
def spooling(addresses: tuple[str, str]) -> Iterator[Spool]:
    """Return a spool that holds nothing yet."""
    opened = spool.new(*addresses, LEASED)
    yield opened
    opened.close()


def told(records: list[Record]) -> list[tuple[Record, float]]:
    return [(record, float(record.run.replicate)) for record in records]


def test_what_is_read_is_what_was_written(spooling: Spool, records: list[Record]) -> None:
    names = spooling.add(told(records))
    assert len(spooling) == 3
    read = spooling.next(10)
    for name, found, record in zip(names, read, records, strict=True):
        entry = replace(entry_of(record), run_id=name)
        run = record.run
        assert (found.study, found.cell, found.key) == (run.study, run.cell, run.key)
        assert found.value == found.replicate == run.replicate
        assert repr(vars(found.entry)) == repr(vars(entry))  # NaN is not equal to itself
    files = [sorted(path.name for path in r.files.iterdir()) if r.files else [] for r in read]
    assert files == [[], ["test_logits.npz"], ["traceback.txt"]]


def test_runs_are_sent_in_order_and_what_was_sent_takes_no_room(
    spooling: Spool, records: list[Record]
) -> None:
    spooling.add(told(records[:2]))
    first = spooling.next(1)
    spooling.add(told(records[2:]))
    spooling.forget(first)
    rest = spooling.next(10)
    assert [run.replicate for run in [*first, *rest]] == [0, 1, 2]
    spooling.forget(rest)
    assert len(spooling) == 0
    assert spooling.next(10) == []
    assert sorted(path.name for path in spooling.folder.iterdir()) == ["lock", "runs.jsonl"]
    assert (spooling.folder / "runs.jsonl").read_bytes().count(b"\n") == 1
    spooling.close()
    assert not spooling.folder.parent.exists()


def test_nothing_is_there_before_the_first_run(spooling: Spool, tmp_path: Path) -> None:
    assert spooling.next(1) == []
    assert list(tmp_path.iterdir()) == []


def left(addresses: tuple[str, str]) -> list[list[Spooled]]:
    """Take what was left, and leave it as it was."""
    found = []
    for each in spool.left(*addresses):
        assert each.leased == LEASED
        found.append(each.next(10))
        each.close()
    return found


def test_what_is_left_is_taken_when_its_runner_is_gone(
    addresses: tuple[str, str], records: list[Record]
) -> None:
    opened = spool.new(*addresses, LEASED)
    opened.add(told(records))
    assert len(spools(*addresses)) == 1
    assert left(addresses) == []  # its runner lives
    opened.close()
    ((first, *others),) = left(addresses)
    assert (first.replicate, len(others)) == (0, 2)
    assert left(("sqlite:///another.db", addresses[1])) == []


def test_a_line_that_a_kill_cut_short_is_none(
    addresses: tuple[str, str], records: list[Record]
) -> None:
    opened = spool.new(*addresses, LEASED)
    opened.add(told(records))
    opened.close()
    lines = opened.folder / "runs.jsonl"
    lines.write_bytes(lines.read_bytes()[:-20])
    ((first, second),) = left(addresses)
    assert (first.replicate, second.replicate) == (0, 1)
    lines.write_bytes(b'{"small"')
    (nothing,) = spool.left(*addresses)
    assert nothing.next(1) == []
    nothing.close()
    assert not opened.folder.exists()


@pytest.mark.parametrize("at", [0.0, 0.1, 0.5, 0.9])
def test_what_a_disk_garbled_is_put_aside(
    addresses: tuple[str, str], records: list[Record], at: float
) -> None:
    opened = spool.new(*addresses, LEASED)
    opened.add(told(records))
    opened.close()
    lines = opened.folder / "runs.jsonl"
    content = bytearray(lines.read_bytes())
    place = int(at * len(content))
    content[place] ^= 1  # such as another digit of a number
    lines.write_bytes(content)
    (found,) = spool.left(*addresses)
    assert (found.is_whole, len(found)) == (False, 0)
    aside = found.refuse()
    found.close()
    assert (aside / "runs.jsonl").read_bytes() == content
    assert spools(*addresses) == []


def test_a_full_disk_leaves_what_was_whole(spooling: Spool, records: list[Record]) -> None:
    spooling.add(told(records[:1]))
    limits, before = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    size = (spooling.folder / "runs.jsonl").stat().st_size
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 700, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            spooling.add(told(records[1:]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    spooling.add(told(records[2:]))
    assert [run.replicate for run in spooling.next(10)] == [0, 2]


def test_a_spool_that_was_deleted_is_said(spooling: Spool, records: list[Record]) -> None:
    spooling.add(told(records[:1]))
    shutil.rmtree(spooling.folder)
    with pytest.raises(StoreError, match="was deleted while its runs were trained"):
        spooling.add(told(records[1:2]))
