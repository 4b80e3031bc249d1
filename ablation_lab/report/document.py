"""The report as plain values: the one model behind the HTML page and the paper.

In: studies, and what lies of them in the report folder. Out: a frozen tree, `Document`, that the
two templates place; every number in it comes from a frame. Templates compute nothing, so that page
and paper cannot disagree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from ablation_lab.report.canvas import Drawn, save
from ablation_lab.report.captions import SHOWN, caption_of
from ablation_lab.report.cautions import GENERAL, PRINTED, problems, threats, without_result
from ablation_lab.report.cross_study import Across, untrained_sentence, untrained_table
from ablation_lab.report.findings import abstract, basis, statements
from ablation_lab.report.glossary import Term, glossary
from ablation_lab.report.language import msgid, tr, tr_known, trs
from ablation_lab.report.links import CellRuns, cell_runs
from ablation_lab.report.methods import cited, facts, methods
from ablation_lab.report.reference_tables import (
    all_values,
    bound_sentence,
    calibration,
    verdict_counts,
)
from ablation_lab.report.reference_values import answers, family, value_table
from ablation_lab.report.sentences import Said
from ablation_lab.report.study import Study
from ablation_lab.report.tabular import Table
from ablation_lab.report.text import korean_font, needs_korean
from ablation_lab.report.told import Told
from ablation_lab.store.pages import Link, Server
from ablation_lab.study.record import Status

COUNTS = ("declared", "finished", "not converged", "failed", "missing", "skipped", "extra")
SENTENCES = re.compile(r"(?<=\.) (?=[A-Z0-9가-힣])")
FEWEST_DRAWN = 5  # printed runs whose p make a figure
NO_FONT = msgid(
    "Some texts are Korean, and no Korean font was found for paper.pdf and the figures: install "
    "the Python package koreanize-matplotlib or Debian's fonts-nanum, then write the report anew."
)


@dataclass(frozen=True)
class Picture:
    """A drawn figure: what it shows, its file, inches across and down."""

    name: str
    caption: str
    file: str
    width: float
    height: float


@dataclass(frozen=True)
class Summary:
    """The card of a study, whose runs are counted in the order of `COUNTS`.

    `figure` is the file of its main figure; `to_know` counts what a reader must know before
    believing its tables.
    """

    name: str
    title: str
    question: str = ""
    said: tuple[Said, ...] = ()
    basis: tuple[str, ...] = ()
    figure: str = ""
    counts: tuple[int, ...] = ()
    to_know: int = 0
    served: tuple[Link, ...] = ()

    @property
    def headline(self) -> str:
        """What its finding says first; empty where it says nothing."""
        return self.said[0].headline if self.said else ""


@dataclass(frozen=True)
class Section:
    """One study of the report.

    `said` is its finding, `basis` what that rests on; `lacking` says which cells have no result,
    and why; `bound` which reference values it answers.
    """

    name: str
    title: str
    question: str
    source: str
    setup: str
    said: tuple[Said, ...]
    basis: tuple[str, ...]
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

    @property
    def finding(self) -> str:
        """What was found, as one text."""
        return " ".join(each.text for each in self.said)

    @property
    def summary(self) -> Summary:
        """Its card."""
        return Summary(
            self.name,
            self.title,
            self.question,
            self.said,
            self.basis,
            figure=self.pictures[0].file if self.pictures else "",
            counts=self.counts,
            to_know=len(self.problems) + len(self.lacking),
            served=self.served,
        )


@dataclass(frozen=True)
class Document:
    """The whole report; `totals` are in the order of `COUNTS`, `lacking` says what is missing.

    `untrained` has a row for each study of which runs have no result, `accuracies` one for each
    accuracy among the reference values; `facts` are names with values; `cards` are of all studies
    that have a page, in the order of the project.
    """

    profile: str
    title: str
    abstract: tuple[str, ...]
    studies: tuple[Section, ...]
    totals: tuple[int, ...]
    methods: tuple[str, ...]
    untrained: Table | None
    values: Table | None
    accuracies: Table | None
    verdicts: Table | None
    calibration: tuple[Picture, ...]
    threats: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    references: tuple[str, ...]
    lacking: tuple[str, ...]
    cards: tuple[Summary, ...]

    @property
    def words(self) -> tuple[Term, ...]:
        """What the words of the report mean."""
        return glossary()


def document(
    studies: Sequence[Study | Told],
    sections: Sequence[Section],
    across: Across,
    *,
    profile: str,
    others: Sequence[Summary] = (),
    order: Sequence[str] = (),
    pictures: tuple[Picture, ...] = (),
) -> Document:
    """The report about studies, each of which has a section; cards are in `order`."""
    totals = _totals([each.counts for each in sections])
    values = all_values(value_table(across.answers))
    verdicts = verdict_counts(across.answers)
    sentence = untrained_sentence(across.untrained)
    held = in_order([*(each.summary for each in sections), *others], order)
    lost = korean_font() is None and needs_korean(map(str, sections))
    return Document(
        profile=profile,
        title=sections[0].title if len(sections) == 1 else tr("Ablation report"),
        abstract=abstract(
            studies,
            totals,
            verdicts,
            untrained=sentence,
            family=tr_known(family(across.answers).sentence),
        ),
        studies=tuple(sections),
        totals=_totals([each.counts for each in held if each.counts]),
        methods=methods(studies),
        untrained=untrained_table(across.untrained),
        values=values,
        accuracies=across.accuracies,
        verdicts=verdicts,
        calibration=pictures,
        threats=trs(*GENERAL, PRINTED) if values else trs(*GENERAL),
        facts=facts(studies, profile=profile),
        references=tuple(work.text for work in cited(studies)),
        lacking=(tr(NO_FONT),) if lost else (),
        cards=tuple(held),
    )


class Named(Protocol):
    """What has the name of a study."""

    @property
    def name(self) -> str:
        """The study's name."""
        ...


Each = TypeVar("Each", bound=Named)


def in_order(each: Iterable[Each], order: Sequence[str]) -> list[Each]:
    """Studies or their cards in an order of names; those that it does not name as they come."""
    places = {name: place for place, name in enumerate(order)}
    return sorted(each, key=lambda one: places.get(one.name, len(places)))


def _totals(each: Sequence[Sequence[int]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*each, strict=True))) or (0,) * len(COUNTS)


def section(
    study: Study, tables: Sequence[Table], figures: Sequence[Drawn], *, server: Server
) -> Section:
    """What the report says of a study, whose figures lie in a folder of its name."""
    declaration = study.declaration
    # In the order of the cells' names, as `ablation serve` prints them.
    shown = [run for _, run in sorted(study.published.cell_runs.items())]
    return Section(
        name=study.name,
        title=declaration.title,
        question=declaration.question,
        source=declaration.source,
        setup=declaration.setup,
        said=tuple(statement.said for statement in statements(study)),
        basis=basis(study),
        counts=counts(study),
        tables=tuple(tables),
        pictures=tuple(
            _picture(figure, caption_of(study, figure.name), place=f"{study.name}/")
            for figure in figures
        ),
        cells=cell_runs(study, server),
        served=tuple(
            replace(each, text=tr_known(each.text))
            for each in server.study(study.published.experiment_id, shown, declaration.profile)
        ),
        problems=problems(study),
        lacking=without_result(study),
        threats=threats(study),
        bound=bound_sentence(answers([study])),
    )


def counts(study: Study) -> tuple[int, ...]:
    """The run counts of a study, in the order of `COUNTS`."""
    status = study.frame["status"]
    finished, failed, missing, skipped = (
        int((status == each).sum())
        for each in (Status.FINISHED, Status.FAILED, Status.MISSING, Status.SKIPPED)
    )
    lost = int(study.cells["not_converged"].sum())
    needed = int((status != Status.NOT_NEEDED).sum())
    return needed, finished, lost, failed, missing, skipped, len(study.extra)


def draw_calibration(across: Across, folder: Path) -> tuple[Picture, ...]:
    """Draw how the p of the printed runs fall, where there are enough of them to see it."""
    judged = family(across.answers)
    if len(judged.p) < FEWEST_DRAWN:
        return ()
    drawn = save(calibration(judged), folder, "calibration")
    return (_picture(drawn, tr(SHOWN["calibration"])),)


def _picture(drawn: Drawn, caption: str, *, place: str = "") -> Picture:
    file = f"{place}figure_{drawn.name}.svg"
    return Picture(drawn.name, caption, file, drawn.width, drawn.height)
