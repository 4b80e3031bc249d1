"""The report as plain values: the one model behind the HTML page and the paper.

In: nothing; these are the shapes. Out: a frozen tree, `Document`, that `page.py` fills and the two
templates place. Templates compute nothing, so that page and paper cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass

from ablation_lab.report.canvas import Drawn
from ablation_lab.report.tabular import Table

COUNTS = ("declared", "finished", "n/c", "failed", "missing", "skipped", "extra")


@dataclass(frozen=True)
class Link:
    """Words and the address they lead to."""

    text: str
    address: str


@dataclass(frozen=True)
class CellRuns:
    """The runs of one cell: its place in the report, and where MLflow shows it.

    `served` leads to the cell run and to all replicates, `runs` to the first replicates; `numbers`
    are the first digits of every run id.
    """

    cell: str
    anchor: str
    served: tuple[Link, ...]
    runs: tuple[Link, ...]
    more: int
    said: str
    numbers: tuple[str, ...]
    unlisted: int


@dataclass(frozen=True)
class Picture:
    """A drawn figure: what it shows, its file, an address without one, inches across and down.

    `rule` says which state of a run is shown, empty where it is the whole training.
    """

    name: str
    says: str
    rule: str
    file: str
    data: str
    width: float
    height: float

    @property
    def caption(self) -> str:
        """What it shows, and of which state of a run."""
        return f"{self.says} {self.rule}".strip()


@dataclass(frozen=True)
class Written:
    """The tables and figures of a study that lie in the report folder."""

    tables: tuple[Table, ...]
    figures: tuple[Drawn, ...]


@dataclass(frozen=True)
class Section:
    """One study of the report.

    `lacking` says which cells have no result, and why; `bound` which printed values it answers.
    """

    name: str
    title: str
    question: str
    source: str
    setup: str
    finding: str
    counts: tuple[int, ...]
    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...]
    cells: tuple[CellRuns, ...]
    served: tuple[Link, ...]
    problems: tuple[str, ...]
    lacking: tuple[str, ...]
    threats: tuple[str, ...]
    bound: str

    @property
    def anchors(self) -> dict[str, str]:
        """The anchor of each cell's runs."""
        return {cell.cell: cell.anchor for cell in self.cells}


@dataclass(frozen=True)
class Fact:
    """One line of the provenance: what, and its value."""

    name: str
    value: str


@dataclass(frozen=True)
class Document:
    """The whole report; `totals` are in the order of `COUNTS`, `lacking` says what is missing.

    `untrained` has a row for each study of which runs have no result, `accuracies` one for each
    printed accuracy.
    """

    profile: str
    title: str
    abstract: tuple[str, ...]
    findings: tuple[str, ...]
    studies: tuple[Section, ...]
    totals: tuple[int, ...]
    methods: tuple[str, ...]
    untrained: Table | None
    claims: Table | None
    accuracies: Table | None
    verdicts: Table | None
    threats: tuple[str, ...]
    facts: tuple[Fact, ...]
    references: tuple[str, ...]
    lacking: tuple[str, ...]
    columns: tuple[str, ...] = COUNTS
