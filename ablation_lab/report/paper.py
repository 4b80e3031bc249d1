"""The paper: the same document as a PDF, words and narrow tables in two columns.

In: a Document and the folder that holds its figures. Out: `paper.pdf`. Typst reads the model as
JSON, so no text of a study can be taken for markup; only fonts that come with Typst are used (and
one for Korean where it is needed), and no date, so that the same store gives the same bytes.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ablation_lab.report.document import Document, Picture, Section
from ablation_lab.report.letters import FAMILY, korean_font, needs_korean
from ablation_lab.report.tabular import Table, header_spans
from ablation_lab.report.text import plain_values

MOST_PROBLEMS = 6
# In the abstract; more would fill its page.
MOST_FINDINGS = 8
NARROW = 50  # characters of the widest row that fit into one column
COLUMN = 3.6  # inches; wider figures span both columns
CURVES = ("by_", "members")  # figures along a numeric factor
VIEWS = ("heat", "ladder", "points")  # all estimates at a glance, the best view first
VALUES = "values"  # the reference values of all studies stand in one table
PANEL = 6
ACROSS = 7.0  # inches of a page between its margins
BETWEEN = 0.25  # inches for a picture's letter
TALLEST = 4.9  # inches of a figure: where two rows no longer fit, little of a page stays empty
PAGE = 8.0  # inches; a taller picture, and a table of more rows, leave no room for text
MOST_ROWS = 40
SENTENCES = re.compile(r"(?<=\.) (?=[A-Z])")
APPENDED = (
    "cells",
    "comparisons",
    "effects",
    "gradients",
)  # long tables, in the appendix across the page


class PaperError(RuntimeError):
    """A paper that could not be typeset, with what the typesetter said."""


def write_paper(model: Document, *, folder: Path, templates: Path, name: str = "paper") -> None:
    """Compile `templates/paper.typ` with the model into `folder/<name>.pdf`.

    Raises PaperError for a template that does not compile.
    """
    # Not before it is needed: it starts threads of its own, after which no process may fork.
    import typst

    values = plain_values(paper_values(model))
    text = json.dumps(values, sort_keys=True, ensure_ascii=False)
    font = korean_font() if needs_korean([text]) else None
    with tempfile.TemporaryDirectory(dir=folder) as place:
        work = Path(place)
        shutil.copy(templates / "paper.typ", work / "paper.typ")
        (work / "paper.json").write_text(text, encoding="utf-8")
        fonts = work / "fonts"
        fonts.mkdir()
        if font is not None:
            shutil.copy(font, fonts)
        try:
            typst.compile(
                work / "paper.typ",
                folder / f"{name}.pdf",
                root=folder,
                font_paths=[fonts],
                ignore_system_fonts=True,
                sys_inputs={"korean": FAMILY if font is not None else ""},
            )
        except typst.TypstError as error:
            raise PaperError(str(error)) from error


def paper_values(model: Document) -> dict[str, Any]:
    """The values that the paper prints, as plain lists and dictionaries."""
    studies = [_study(study) for study in model.studies]
    _say_once(studies)
    return {
        "title": model.title,
        "profile": model.profile,
        "abstract": _abstract(model),
        "columns": model.columns,
        "totals": model.totals,
        "studies": studies,
        "methods": model.methods,
        "untrained": _optional(model.untrained),
        "values": _optional(model.values),
        "accuracies": _optional(model.accuracies),
        "verdicts": _optional(model.verdicts),
        "threats": model.threats,
        "facts": [asdict(fact) for fact in model.facts],
        "references": model.references,
        "lacking": model.lacking,
    }


def _abstract(model: Document) -> tuple[str, ...]:
    """The abstract, with the findings as long as it stays one."""
    if len(model.findings) <= MOST_FINDINGS:
        return (*model.abstract, *model.findings)
    return (*model.abstract, "What each study found stands in its section.")


def _study(study: Section) -> dict[str, Any]:
    problems = list(study.problems[:MOST_PROBLEMS])
    if len(study.problems) > MOST_PROBLEMS:
        problems.append(f"{len(study.problems) - MOST_PROBLEMS} more stand in the HTML report.")
    return {
        "title": study.title,
        "question": study.question,
        "setup": study.setup,
        "source": study.source,
        "finding": study.finding,
        "bound": study.bound,
        "counts": study.counts,
        "problems": problems,
        "threats": study.threats,
        "tables": [
            _table(table, study.anchors, study.name)
            for table in study.tables
            if table.name != VALUES and not _is_appended(table)
        ],
        "appended": [
            _table(table, study.anchors, study.name)
            for table in study.tables
            if table.name != VALUES and _is_appended(table)
        ],
        "panels": _panels(_chosen(study)),
        "runs": [
            {
                "cell": cell.cell,
                "anchor": cell.anchor,
                "numbers": cell.numbers,
                "unlisted": cell.unlisted,
                "said": cell.said,
            }
            for cell in study.cells
        ],
    }


def _is_appended(table: Table) -> bool:
    return table.name in APPENDED or len(table.rows) > MOST_ROWS


def _chosen(study: Section) -> list[Picture]:
    """What tells most, once: the page shows the other views of the same estimates too."""
    by_name = {picture.name: picture for picture in study.pictures if picture.height <= PAGE}
    curves = [picture for name, picture in by_name.items() if name.startswith(CURVES)]
    views = [by_name[name] for name in VIEWS if name in by_name]
    rest = [by_name[name] for name in by_name if name not in VIEWS and not name.startswith(CURVES)]
    return [*(curves or views[:1]), *rest]


def _panels(pictures: list[Picture]) -> list[dict[str, Any]]:
    """As many pictures under one caption as a page has room for, each by its letter."""
    return [
        {
            "pictures": [
                {
                    "says": picture.says,
                    "file": f"/{picture.file}",
                    "width": min(picture.width, ACROSS),
                    "wide": picture.width > COLUMN,
                }
                for picture in part
            ],
            "rules": list(dict.fromkeys(picture.rule for picture in part if picture.rule)),
        }
        for part in _pages(pictures)
    ]


def _pages(pictures: list[Picture]) -> list[list[Picture]]:
    """Cut pictures into parts of at most six that are not taller than half a page."""
    parts: list[list[Picture]] = []
    for picture in pictures:
        if not parts or not _fits(parts[-1], picture):
            parts.append([])
        parts[-1].append(picture)
    return parts


def _fits(part: list[Picture], picture: Picture) -> bool:
    """Whether a picture may join a part: beside another, or in a row that is not too much."""
    rows = _rows([*part, picture])
    most = PAGE if len(rows) == len(_rows(part)) else TALLEST
    return len(part) < PANEL and sum(rows) <= most


def _rows(pictures: list[Picture]) -> list[float]:
    """Inches of the rows of pictures: two narrow ones side by side, a wide one by itself."""
    rows: list[float] = []
    beside = False
    for picture in pictures:
        wide = picture.width > COLUMN
        height = BETWEEN + picture.height * min(1.0, ACROSS / picture.width)
        if beside and not wide:
            rows[-1] = max(rows[-1], height)
        else:
            rows.append(height)
        beside = not wide and not beside
    return rows


def _say_once(studies: list[dict[str, Any]]) -> None:
    """Refer to an earlier table of the same kind for all sentences that its caption has too.

    Only where the captions have equally many sentences: else one of the earlier ones would seem to
    hold here too.
    """
    earlier: dict[str, tuple[str, list[str]]] = {}
    for table in (t for study in studies for t in (*study["tables"], *study["appended"])):
        sentences = SENTENCES.split(table["caption"])
        place, said = earlier.setdefault(table["name"], (table["label"], sentences))
        if place != table["label"] and len(said) == len(sentences):
            own = [mine for mine, other in zip(sentences, said, strict=True) if mine != other]
            table.update(caption=" ".join(own), like=place)


def _optional(table: Table | None) -> dict[str, Any] | None:
    return None if table is None else _table(table, {}, "report")


def _table(table: Table, anchors: dict[str, str], study: str) -> dict[str, Any]:
    widths = [sum(len(entry.words) + 2 for entry in row) for row in table.rows]
    return {
        "name": table.name,
        "label": f"table-{study}-{table.name}",
        "like": "",
        "title": table.title,
        "caption": table.caption,
        "header": header_spans(table.header),
        "rows": [
            [
                {
                    "text": entry.text,
                    "reference": entry.reference,
                    "bold": entry.bold,
                    "number": entry.value is not None,
                    "notes": entry.notes,
                    "anchor": anchors.get(entry.cell, ""),
                }
                for entry in row
            ]
            for row in table.rows
        ],
        "notes": table.notes,
        "letters": max(widths, default=0),
        "wide": max([*widths, *(sum(map(len, line)) for line in table.header)], default=0) > NARROW,
    }
