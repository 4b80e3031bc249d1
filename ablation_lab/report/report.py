"""Writes a report folder: data, tables, figures and a page per study, and pages over all of them.

In: studies as read from the store. Out: `<reports>/<profile>/`. Everything is written to a new
folder beside the target, which takes its place only when it is complete: whatever breaks, the old
report stays. The same store gives the same bytes.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path
from threading import active_count
from typing import TYPE_CHECKING, Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from ablation_lab.report.canvas import Drawn, save
from ablation_lab.report.cross_study import Across
from ablation_lab.report.document import (
    Document,
    Section,
    Summary,
    document,
    draw_calibration,
    in_order,
    section,
)
from ablation_lab.report.figures import figures_for
from ablation_lab.report.numbers import numbers_of, write_all_numbers, write_numbers
from ablation_lab.report.paper import ReportError, write_paper, write_references
from ablation_lab.report.study import Study
from ablation_lab.report.table_comparisons import contrasts
from ablation_lab.report.tables import tables_for
from ablation_lab.report.tabular import Table, write_table
from ablation_lab.report.text import csv_frame, plain
from ablation_lab.statistics.outcomes import further_estimates
from ablation_lab.store.pages import Server
from ablation_lab.study.references import ReferenceValue

if TYPE_CHECKING:
    from ablation_lab.study.project import Listed

BASE_URL = "http://127.0.0.1:5000"
TEMPLATES = Path(__file__).parent / "templates"
INDEX, STUDY, VALUES = "index", "study", "values"
FURTHER = ("methods", "provenance")  # pages of every report
COUNTED = ("steps", "parameters", "not_converged", "not_converged_step", "successes")
FEW_STUDIES = 3  # fewer are drawn faster than a second process starts


def write_report(
    studies: Sequence[Study], *, profile: str, reports: Path, base_url: str = BASE_URL,
    templates: Path = TEMPLATES, references: Sequence[ReferenceValue] = (),
    listed: Sequence[Listed] = (), beside: bool = False, order: Sequence[str] = (),
) -> Path:  # fmt: skip
    """Write `<reports>/<profile>/` and return the path of its index.html.

    Every study has a page and a paper of its own; index.html has a card of each, first those that
    `order` names, and paper.pdf is about all of `studies`. `values.csv` has every reference value
    of the references, and those that the studies carry; of the declared studies that are `listed`,
    those that have no runs are rows that say why. With `beside`, what was reported of other studies
    before stays, and the index leads to it.

    Raises ReportError for a template that does not work; whatever is raised, the report that was
    there before is untouched.
    """
    pages = Pages(profile, Server(base_url), templates, tuple(order))
    studies = in_order(studies, order)
    with replaced_folder(reports / profile) as folder:
        sections = write_studies(studies, folder, pages=pages)
        others = keep_others(reports / profile, folder) if beside else ()
        across = Across.over(studies, references=references, listed=listed)
        across.write(folder)
        write_all_numbers(across.answers, folder, profile=profile)
        write_references(folder)
        pages.write(studies, sections, across, folder=folder, others=others)
    return reports / profile / "index.html"


@dataclass(frozen=True)
class Pages:
    """How pages and papers are written: all but what stands on them."""

    profile: str
    server: Server
    templates: Path = TEMPLATES
    order: tuple[str, ...] = ()

    def write(
        self,
        studies: Sequence[Study],
        sections: Sequence[Section],
        across: Across,
        *,
        folder: Path,
        name: str = "",
        others: Sequence[Summary] = (),
    ) -> None:
        """Write page and paper of the study with that name; without one, those over all studies."""
        model = document(
            studies, sections, across, profile=self.profile, others=others, order=self.order,
            pictures=() if name else draw_calibration(across, folder),
        )  # fmt: skip
        made = {name: STUDY} if name else {page: page for page in pages_over(model)}
        for page, template in made.items():
            text = html(model, template, templates=self.templates)
            (folder / f"{page}.html").write_text(text, encoding="utf-8")
        write_paper(model, folder=folder, templates=self.templates, name=name or "paper")

    def write_study(self, study: Study, folder: Path) -> Section:
        """Write the folder of a study, its page and its paper."""
        tables, figures = write_study(study, folder / study.name)
        made = section(study, tables, figures, server=self.server)
        made.summary.write(folder / study.name)
        self.write([study], [made], Across.over([study]), folder=folder, name=study.name)
        return made


def keep_others(old: Path, folder: Path) -> tuple[Summary, ...]:
    """Take over from a report what is not written anew; what it says of those studies."""
    found = [path.parent for path in sorted(old.glob("*/runs.csv"))]
    kept = [path for path in found if not (folder / path.name).exists()]
    for path in kept:
        shutil.copytree(path, folder / path.name)
        for ending in ("html", "pdf"):
            page = old / f"{path.name}.{ending}"
            if page.exists():
                shutil.copy2(page, folder)
    return tuple(map(Summary.read, kept))


def write_studies(studies: Sequence[Study], folder: Path, *, pages: Pages) -> list[Section]:
    """Write every study's folder and pages, several at a time; what is said of each."""
    workers = min(cpu_count() or 1, len(studies))
    write = partial(pages.write_study, folder=folder)
    if workers < 2 or len(studies) < FEW_STUDIES:
        return list(map(write, studies))
    # A fork starts at once but copies no other thread, so it is safe only where there is none; the
    # typesetter has some that Python does not count.
    alone = active_count() == 1 and "typst" not in sys.modules
    method = "fork" if sys.platform == "linux" and alone else "spawn"
    with ProcessPoolExecutor(workers, mp_context=get_context(method)) as pool:
        return list(pool.map(write, studies))


def write_study(study: Study, folder: Path) -> tuple[list[Table], list[Drawn]]:
    """Write runs.csv, cells.csv, comparisons.csv, the tables and the figures."""
    folder.mkdir(parents=True)
    data = {
        "runs": whole_numbers(study.frame),
        "cells": whole_numbers(with_further(study)),
        "comparisons": contrasts(study),
    }
    for name, table in data.items():
        if len(table):
            csv_frame(table).to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    write_numbers(numbers_of(study), folder)
    tables = tables_for(study)
    for made in tables:
        write_table(made, folder)
    drawings = figures_for(study).items()
    return tables, [save(draw(study), folder, name) for name, draw in drawings]


def with_further(study: Study) -> pd.DataFrame:
    """The cells by the metric that they are compared by, then by the further ones."""
    more = further_estimates(study.frame, study.declaration)
    return pd.concat([study.cells, more], ignore_index=True) if len(more) else study.cells


def pages_over(model: Document) -> tuple[str, ...]:
    """The pages about all studies, each of which has a template of its name."""
    return (INDEX, *FURTHER, *((VALUES,) if model.values else ()))


def html(model: Document, page: str, *, templates: Path = TEMPLATES) -> str:
    """A page that needs only the figures beside it; ReportError for a template that breaks."""
    environment = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_plain,
    )
    try:
        return environment.get_template(f"{page}.html.j2").render(page=model)
    except TemplateError as error:
        name = str(getattr(error, "name", None) or f"{page}.html.j2")
        raise ReportError.of(name, error) from error


def _plain(value: Any) -> Any:
    """What a template prints, but for markup, as text that any page can hold."""
    return plain(value) if type(value) is str else value


def whole_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its counting columns written as whole numbers."""
    counted = [name for name in table.select_dtypes("number") if name in COUNTED]
    whole = [name for name in counted if (table[name].dropna() % 1 == 0).all()]
    return table.astype(dict.fromkeys(whole, "Int64"))


@contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """A new folder that takes the target's place at the end, or vanishes if anything is raised."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as place:
        fresh, old = Path(place) / "new", Path(place) / "old"
        fresh.mkdir()
        yield fresh
        if target.exists():
            target.rename(old)
        try:
            fresh.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
        if old.exists():
            shutil.rmtree(old)
