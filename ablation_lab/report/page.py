"""From studies and drawn figures to the `Document` that page and paper print.

In: studies, the names of the figures that lie in the report folder. Out: a `Document`; every number
in it comes from a frame.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

from ablation_lab.report.canvas import Drawn
from ablation_lab.report.cross_study import Across, untrained_sentence, untrained_table
from ablation_lab.report.document import (
    COUNTS,
    Document,
    Picture,
    Section,
    Server,
    Written,
    cell_runs,
)
from ablation_lab.report.findings import (
    GENERAL,
    PRINTED,
    abstract,
    finding,
    findings,
    problems,
    threats,
    without_result,
)
from ablation_lab.report.formatting import rule_caption
from ablation_lab.report.letters import korean_font, needs_korean
from ablation_lab.report.marks import few_values
from ablation_lab.report.methods import cited, methods
from ablation_lab.report.provenance import facts
from ablation_lab.report.reference_tables import all_values, bound_sentence, verdict_counts
from ablation_lab.report.reference_values import answers, value_table
from ablation_lab.report.study import Study
from ablation_lab.report.tabular import Table
from ablation_lab.statistics.intervals import FEW
from ablation_lab.study.record import Status

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
NO_FONT = (
    "Some texts are Korean, and no Korean font was found for paper.pdf and the figures: install "
    "the Python package koreanize-matplotlib or Debian's fonts-nanum, then write the report anew."
)


def document(
    studies: Sequence[Study],
    *,
    profile: str,
    base_url: str,
    folder: Path,
    written: Sequence[Written],
    across: Across,
    others: Sequence[str] = (),
) -> Document:
    """The report; `written` names what lies in `folder/<study>/`."""
    server = Server(base_url)
    sections = tuple(
        _section(study, server=server, folder=folder, written=files)
        for study, files in zip(studies, written, strict=True)
    )
    totals = tuple(sum(each) for each in zip(*(s.counts for s in sections), strict=True))
    values = all_values(value_table(across.answers))
    sentence = untrained_sentence(across.untrained)
    verdicts = verdict_counts(values) if values else None
    return Document(
        profile=profile,
        title=_title(sections),
        abstract=abstract(studies, totals or (0,) * len(COUNTS), verdicts, untrained=sentence),
        findings=findings(studies),
        studies=sections,
        totals=totals or (0,) * len(COUNTS),
        methods=methods(studies),
        untrained=untrained_table(across.untrained),
        values=values,
        accuracies=across.accuracies,
        verdicts=verdicts,
        threats=(*GENERAL, PRINTED) if values else GENERAL,
        facts=facts(studies, profile=profile),
        references=tuple(work.text for work in cited(studies)),
        lacking=_lacking(sections),
        others=tuple(others),
    )


def counts(study: Study) -> tuple[int, ...]:
    """The run counts of a study, in the order of `COUNTS`."""
    status = study.frame["status"]
    by_status: Mapping[Status, int] = {each: int((status == each).sum()) for each in Status}
    return (
        len(study.frame),
        by_status[Status.FINISHED],
        int(study.cells["not_converged"].sum()),
        by_status[Status.FAILED],
        by_status[Status.MISSING],
        by_status[Status.SKIPPED],
        len(study.extra),
    )


def _section(study: Study, *, server: Server, folder: Path, written: Written) -> Section:
    declaration = study.declaration
    return Section(
        name=study.name,
        title=declaration.title,
        question=declaration.question,
        source=declaration.source,
        setup=declaration.setup,
        finding=finding(study),
        counts=counts(study),
        tables=written.tables,
        pictures=tuple(_picture(folder, study, figure) for figure in written.figures),
        cells=cell_runs(study, server),
        served=server.study(study.published, declaration.profile),
        problems=problems(study),
        lacking=without_result(study),
        threats=threats(study),
        bound=bound_sentence(answers([study])),
    )


def _title(sections: Sequence[Section]) -> str:
    return sections[0].title if len(sections) == 1 else "Ablation report"


def _picture(folder: Path, study: Study, figure: Drawn) -> Picture:
    declaration = study.declaration
    file = f"{declaration.study}/figure_{figure.name}.svg"
    data = base64.b64encode((folder / file).read_bytes()).decode()
    says = SHOWN.get(figure.name) or f"Estimate and 95 % interval by {figure.name[3:]}."
    says += _dots(study) if figure.name == "points" else ""
    rule = "" if figure.name in WITHOUT_RULE else rule_caption(declaration)
    address = f"data:image/svg+xml;base64,{data}"
    return Picture(figure.name, says, rule, file, address, figure.width, figure.height)


def _dots(study: Study) -> str:
    """What the grey dots of a figure of all cells are, where any is drawn."""
    cells = [cell.cell for cell in study.declaration.cells if not cell.trains_members]
    runs = [len(few_values(study, cell)) for cell in cells]
    if not any(runs):
        return ""
    return f" Grey dots are single runs{'' if all(runs) else f', where fewer than {FEW}'}."


def _lacking(sections: Sequence[Section]) -> tuple[str, ...]:
    texts = [text for section in sections for text in _texts(section)]
    return (NO_FONT,) if needs_korean(texts) and korean_font() is None else ()


def _texts(section: Section) -> list[str]:
    """Every text of a study that the paper prints."""
    written = [section.title, section.question, section.source, section.setup, section.finding]
    return [*written, *section.threats, *(t for table in section.tables for t in _words(table))]


def _words(table: Table) -> list[str]:
    entries = [entry.words for row in table.rows for entry in row]
    return [table.title, table.caption, *table.notes, *sum(table.header, ()), *entries]
