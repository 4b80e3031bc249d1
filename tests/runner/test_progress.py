"""The live display: what a terminal shows, and that nothing else does."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest
from rich.console import Console

from ablation_lab.runner.progress import Display
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run, TrainerName

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def records(make_run: Callable[..., Run]) -> list[Record]:
    """Return two runs that finished and one that failed."""
    statuses = [Status.FINISHED, Status.FINISHED, Status.FAILED]
    return [
        Record(make_run(replicate=n), status, TrainerName.SINGLE)
        for n, status in enumerate(statuses)
    ]


def drawn(console: Console) -> list[str]:
    """Return the lines that a terminal was given, without its control characters."""
    assert isinstance(console.file, io.StringIO)
    text = CONTROL.sub("\n", console.file.getvalue()).replace("\r", "\n")
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_a_terminal_shows_cells_runs_failures_and_the_time_left(
    records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    display = Display(runs=12, cells=4, console=console)
    clock = iter(range(10**6))
    # Each look at the clock is a second later: so there is a speed to reckon with.
    monkeypatch.setattr(display._progress, "get_time", lambda: float(next(clock)))
    with display:
        display.advance(records[:2])
        display.complete(1)
        display.advance(records[2:])
        display._progress.refresh()
    lines = drawn(console)
    assert re.match(r"cells 0/4, runs .* 0/12 .* -:--:--$", lines[0])
    assert re.match(r"cells 1/4, 1 failed, runs .* 3/12 0:00:\d\d \d:\d\d:\d\d$", lines[-1])


def test_what_is_no_terminal_gets_nothing(records: list[Record]) -> None:
    console = Console(file=io.StringIO(), force_terminal=False)
    with Display(runs=3, cells=1, console=console) as display:
        display.advance(records)
    assert drawn(console) == []
