"""What a terminal is shown of a call that trains; an output that is none gets nothing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ablation_lab.study.record import Record, Status


class Display:
    """Cells done, runs done, failures, time left; silent where the output is no terminal."""

    def __init__(self, *, runs: int, cells: int, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stderr, soft_wrap=True)
        self._cells = cells
        self._cells_done = 0
        self._failed = 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task(self._text(), total=runs)

    def __enter__(self) -> Display:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop drawing."""
        self._progress.stop()

    def expect(self, *, runs: int, cells: int) -> None:
        """Count on further runs, and on the cells that they are of."""
        self._cells += cells
        total = self._progress.tasks[0].total or 0
        self._progress.update(self._task, total=total + runs, description=self._text())

    def complete(self, cells: int) -> None:
        """Count cells of which the store has every run."""
        self._cells_done += cells
        self._progress.update(self._task, description=self._text())

    def advance(self, records: Sequence[Record]) -> None:
        """Count records that came together."""
        self._failed += sum(record.status is Status.FAILED for record in records)
        self._progress.update(self._task, advance=len(records), description=self._text())

    def _text(self) -> str:
        failures = f", {self._failed} failed" if self._failed else ""
        return f"cells {self._cells_done}/{self._cells}{failures}, runs"
