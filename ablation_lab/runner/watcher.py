"""Whoever is told how a call goes, while it goes. A call by itself tells nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ablation_lab.study.record import Record

if TYPE_CHECKING:
    from ablation_lab.runner.planning import Planned
    from ablation_lab.study.run import Stack


class Watcher:
    """Is told what a call has planned and kept; this one keeps it to itself."""

    def planned(self, planned: Planned) -> None:
        """Hear what is there and what will train."""

    def began(self, stack: Stack) -> None:
        """Hear of a stack that is handed out, of which workers have the first ones in hand."""

    def kept(self, records: Sequence[Record]) -> None:
        """Hear of records that the store has from now on."""

    def reporting(self) -> None:
        """Hear that all is trained, and the report is written."""
