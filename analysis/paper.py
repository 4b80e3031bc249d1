"""The paper: the same page as a two-column PDF.

In: a Page and the folder that holds its figures. Out: `paper.pdf`. Typst reads the model as JSON,
so no text of a study can be taken for markup; only fonts that come with Typst are used, and no
date, so that the same store gives the same bytes.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import typst

from analysis.page import Page, Picture, StudyPage
from analysis.tabular import Table
from analysis.writers import header_spans

MOST_ROWS = 45  # what fits on one page
MOST_PROBLEMS = 8
NARROW = 52  # characters of the widest row that fit into one column


def write_paper(model: Page, *, folder: Path, templates: Path) -> None:
    """Compile `templates/paper.typ` with the model into `folder/paper.pdf`."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        work = Path(place)
        shutil.copy(templates / "paper.typ", work / "paper.typ")
        text = json.dumps(paper_values(model), sort_keys=True)
        (work / "paper.json").write_text(text, encoding="utf-8")
        typst.compile(
            work / "paper.typ", folder / "paper.pdf", root=folder, ignore_system_fonts=True
        )


def paper_values(model: Page) -> dict[str, Any]:
    """The values that the paper prints: per study its pivot table and at most two figures."""
    return {
        "title": model.title,
        "summary": model.summary,
        "studies": [_study(study) for study in model.studies],
    }


def _study(study: StudyPage) -> dict[str, Any]:
    problems = list(study.problems[:MOST_PROBLEMS])
    if len(study.problems) > MOST_PROBLEMS:
        problems.append(f"{len(study.problems) - MOST_PROBLEMS} more stand in the HTML report")
    return {
        "title": study.title,
        "question": study.question,
        "setup": study.setup,
        "source": study.source,
        "finding": study.finding,
        "provenance": study.provenance,
        "problems": problems,
        "tables": [_table(table) for table in study.tables if table.name != "cells"],
        "pictures": [
            {"says": picture.says, "file": f"/{picture.file}"} for picture in _chosen(study)
        ],
    }


def _chosen(study: StudyPage) -> list[Picture]:
    """The points, and what tells most beside them."""
    rest = [picture for picture in study.pictures if picture.name != "points"]
    points = [picture for picture in study.pictures if picture.name == "points"]
    by_number = [picture for picture in rest if picture.name.startswith("by_")]
    return points + (by_number or rest)[:1]


def _table(table: Table) -> dict[str, Any]:
    widths = [sum(len(entry.text) + 2 for entry in row) for row in table.rows]
    return {
        "title": table.title,
        "caption": table.caption,
        "header": header_spans(table.header),
        "rows": [
            [{"text": e.text, "bold": e.bold, "notes": e.notes} for e in row]
            for row in table.rows[:MOST_ROWS]
        ],
        "left_out": max(len(table.rows) - MOST_ROWS, 0),
        "notes": table.notes,
        "wide": max(widths, default=0) > NARROW,
    }
