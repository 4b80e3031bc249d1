"""The report as plain values: the one model behind the HTML page and the paper.

In: studies, and what lies of them in the report folder. Out: a frozen tree, `Document`, that the
two templates place; every number in it comes from a frame. Templates compute nothing, so that page
and paper cannot disagree.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ablation_lab.report.canvas import Drawn
from ablation_lab.report.cross_study import Across, untrained_sentence, untrained_table
from ablation_lab.report.findings import (
    GENERAL,
    PRINTED,
    abstract,
    finding,
    problems,
    threats,
    without_result,
)
from ablation_lab.report.formatting import rule_caption
from ablation_lab.report.links import CellRuns, cell_runs
from ablation_lab.report.marks import few_values
from ablation_lab.report.methods import cited, facts, methods
from ablation_lab.report.reference_tables import all_values, bound_sentence, verdict_counts
from ablation_lab.report.reference_values import answers, value_table
from ablation_lab.report.study import Study
from ablation_lab.report.tabular import Table
from ablation_lab.report.text import korean_font, needs_korean, plain_values
from ablation_lab.statistics.intervals import FEW
from ablation_lab.store.pages import Link, Server
from ablation_lab.study.record import Status

COUNTS = ("declared", "finished", "not converged", "failed", "missing", "skipped", "extra")
SUMMARY = "summary.json"
NO_FONT = (
    "Some texts are Korean, and no Korean font was found for paper.pdf and the figures: install "
    "the Python package koreanize-matplotlib or Debian's fonts-nanum, then write the report anew."
)


@dataclass(frozen=True)
class Picture:
    """A drawn figure: what it shows, its file, an address without one, inches across and down."""

    name: str
    caption: str
    file: str
    data: str
    width: float
    height: float


@dataclass(frozen=True)
class Summary:
    """What the overview says of a study, whose runs are counted in the order of `COUNTS`.

    `to_know` counts what a reader must know before believing its tables.
    """

    name: str
    title: str
    finding: str = ""
    counts: tuple[int, ...] = ()
    to_know: int = 0
    served: tuple[Link, ...] = ()

    def write(self, folder: Path) -> None:
        """Keep it beside the study's files."""
        text = json.dumps(plain_values(self), indent=1)
        (folder / SUMMARY).write_text(f"{text}\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Summary:
        """What an earlier call kept of a study; nothing but its name where it is not there."""
        try:
            kept = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
            served = tuple(Link(**each) for each in kept.pop("served"))
            return cls(**kept, served=served)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return cls(folder.name, folder.name)


@dataclass(frozen=True)
class Section:
    """One study of the report.

    `lacking` says which cells have no result, and why; `bound` which reference values it answers.
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

    @property
    def summary(self) -> Summary:
        """Its row in the overview."""
        to_know = len(self.problems) + len(self.lacking)
        return Summary(self.name, self.title, self.finding, self.counts, to_know, self.served)


@dataclass(frozen=True)
class Document:
    """The whole report; `totals` are in the order of `COUNTS`, `lacking` says what is missing.

    `untrained` has a row for each study of which runs have no result, `accuracies` one for each
    accuracy among the reference values; `facts` are names with values; `others` are studies that
    have a page beside this one.
    """

    profile: str
    title: str
    abstract: tuple[str, ...]
    findings: tuple[str, ...]
    studies: tuple[Section, ...]
    totals: tuple[int, ...]
    methods: tuple[str, ...]
    untrained: Table | None
    values: Table | None
    accuracies: Table | None
    verdicts: Table | None
    threats: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    references: tuple[str, ...]
    lacking: tuple[str, ...]
    others: tuple[Summary, ...]
    columns: tuple[str, ...] = COUNTS


def document(
    studies: Sequence[Study],
    sections: Sequence[Section],
    across: Across,
    *,
    profile: str,
    others: Sequence[Summary] = (),
) -> Document:
    """The report about studies, each of which has a section."""
    totals = _totals([each.counts for each in sections])
    values = all_values(value_table(across.answers))
    verdicts = verdict_counts(values) if values else None
    sentence = untrained_sentence(across.untrained)
    held = [*(each.summary for each in sections), *others]
    lost = korean_font() is None and needs_korean(map(str, sections))
    return Document(
        profile=profile,
        title=sections[0].title if len(sections) == 1 else "Ablation report",
        abstract=abstract(studies, totals, verdicts, untrained=sentence),
        findings=tuple(f"{each.title}: {each.finding}" for each in held if each.finding),
        studies=tuple(sections),
        totals=_totals([each.counts for each in held if each.counts]),
        methods=methods(studies),
        untrained=untrained_table(across.untrained),
        values=values,
        accuracies=across.accuracies,
        verdicts=verdicts,
        threats=(*GENERAL, PRINTED) if values else GENERAL,
        facts=facts(studies, profile=profile),
        references=tuple(work.text for work in cited(studies)),
        lacking=(NO_FONT,) if lost else (),
        others=tuple(others),
    )


def _totals(each: Sequence[Sequence[int]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*each, strict=True))) or (0,) * len(COUNTS)


def section(
    study: Study, tables: Sequence[Table], figures: Sequence[Drawn], *, server: Server, folder: Path
) -> Section:
    """What the report says of a study, whose figures lie in `folder/<study>/`."""
    declaration = study.declaration
    # In the order of the cells' names, as `ablation serve` prints them.
    shown = [run for _, run in sorted(study.published.cell_runs.items())]
    return Section(
        name=study.name,
        title=declaration.title,
        question=declaration.question,
        source=declaration.source,
        setup=declaration.setup,
        finding=finding(study),
        counts=counts(study),
        tables=tuple(tables),
        pictures=tuple(_picture(folder, study, figure) for figure in figures),
        cells=cell_runs(study, server),
        served=server.study(study.published.experiment_id, shown, declaration.profile),
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
    return len(study.frame), finished, lost, failed, missing, skipped, len(study.extra)


def _picture(folder: Path, study: Study, figure: Drawn) -> Picture:
    file = f"{study.name}/figure_{figure.name}.svg"
    data = base64.b64encode((folder / file).read_bytes()).decode()
    address = f"data:image/svg+xml;base64,{data}"
    return Picture(
        figure.name, caption_of(study, figure.name), file, address, figure.width, figure.height
    )


COURSE = (
    "Median over runs; zero lies at the lower end, and a line ends where half of the runs are no "
    "longer finite."
)
DARKNESS = (
    "First replicate of each cell in the last row of the layout; darkness is the share of a "
    "layer's values in a fortieth of the axis, in every panel alike: white none, black a quarter "
    "or more. Cross: a layer with values that are not finite; 'not probed': no run was looked "
    "into."
)
SHOWN = {
    "verdicts": "Verdicts on the reference values that the checks answer.",
    "points": "Estimate and 95 % interval of every cell.",
    "heat": "Estimate at every place of the table; hatched where runs of it did not converge.",
    "ladder": "Ours with its 95 % interval (dot) beside the reference value (diamond).",
    "training": "Training: median and the band that holds 80 % of the runs.",
    "effects": "Mean over all cells with a level, with 95 % intervals: the main effects.",
    "credits": "What each change from the baseline is worth: alone, averaged over all orders of "
    "the changes (Shapley value), and with all others made; joint 95 % intervals.",
    "importance": "Shares of the variance and importance in a forest, with 95 % intervals.",
    "gradients": "Norm of the gradient of each layer's weights before the first step, median over "
    "runs; a norm of zero lies at the lower end.",
    "gradients_first": "Norm of the gradient of the first layer's weights along the training. "
    f"{COURSE}",
    "gradients_ratio": "The same norm divided by that of the last layer: far below 1 the gradient "
    f"vanishes on its way. {COURSE}",
    "boundaries": "Probability of class 1 over both inputs after training (dark 0, light 1), first "
    "replicate of each cell; dots are examples of class 0, squares of class 1.",
    "activations": f"Activations by layer before the first step. {DARKNESS}",
    "activations_trained": "Activations by layer after training; darkness as before it.",
    "gradients_entries": "Magnitudes of the entries of each layer's gradient before the first "
    f"step; what lies below an axis, such as zero, is in its lowest row. {DARKNESS}",
    "gradients_entries_trained": "The same magnitudes after training; darkness as before it.",
    "samples": "Generated images after training, of the first replicate of each cell of which the "
    "store has them; x: none.",
    "members": "Ensembles by size with 95 % intervals; the band holds 80 % of single members.",
}
# They show a course or a state of their own, and say which.
WITHOUT_RULE = (
    "verdicts", "training", "gradients", "gradients_first", "gradients_ratio", "boundaries",
    "activations", "activations_trained", "gradients_entries", "gradients_entries_trained",
    "samples",
)  # fmt: skip


def caption_of(study: Study, name: str) -> str:
    """What a figure of a study shows, and of which state of a run."""
    says = SHOWN.get(name) or f"Estimate and 95 % interval by {name.removeprefix('by_')}."
    says += _dots(study) if name == "points" else ""
    rule = "" if name in WITHOUT_RULE else rule_caption(study.declaration)
    return f"{says} {rule}".strip()


def _dots(study: Study) -> str:
    """What the grey dots of a figure of all cells are, where any is drawn."""
    cells = [cell.cell for cell in study.declaration.cells if not cell.trains_members]
    runs = [len(few_values(study, cell)) for cell in cells]
    if not any(runs):
        return ""
    where = "" if all(runs) else f", where fewer than {FEW} or of two kinds"
    return f" Grey dots are single runs{where}."
