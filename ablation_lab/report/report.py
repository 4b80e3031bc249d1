"""Writes a report folder: data, tables and figures per study, one page over all of them.

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
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path
from threading import active_count
from typing import TYPE_CHECKING

import pandas as pd
import typst
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from ablation_lab.report.canvas import save
from ablation_lab.report.cross_study import Across
from ablation_lab.report.document import Document, Written
from ablation_lab.report.figures import figures_for
from ablation_lab.report.page import document
from ablation_lab.report.paper import write_paper
from ablation_lab.report.study import Study
from ablation_lab.report.tables import tables_for
from ablation_lab.report.tabular import header_spans, write_table
from ablation_lab.study.printed import PrintedClaim

if TYPE_CHECKING:
    from ablation_lab.study.catalogue import Listed

BASE_URL = "http://127.0.0.1:5000"
TEMPLATES = Path(__file__).parent / "templates"
COUNTED = ("steps", "parameters", "nc", "nc_step", "successes")
FEW_STUDIES = 3  # fewer are drawn faster than a second process starts


class ReportError(RuntimeError):
    """A report that could not be written, with the template and the reason in one line."""


def write_report(
    studies: Sequence[Study], *, profile: str, reports: Path, base_url: str = BASE_URL,
    templates: Path = TEMPLATES, ledger: Sequence[PrintedClaim] = (),
    listed: Sequence[Listed] = (),
) -> Path:  # fmt: skip
    """Write `<reports>/<profile>/` and return the path of its index.html.

    `claims.csv` has every claim of the ledger, and those that the studies carry; of the declared
    studies that are `listed`, those that have no runs are rows that say why.

    Raises ReportError for a template that does not work; whatever is raised, the report that was
    there before is untouched.
    """
    with replaced_folder(reports / profile) as folder:
        written = write_studies(studies, folder)
        across = Across.over(studies, ledger=ledger, listed=listed)
        across.write(folder)
        model = document(
            studies,
            profile=profile,
            base_url=base_url,
            folder=folder,
            written=written,
            across=across,
        )
        (folder / "index.html").write_text(html(model, templates=templates), encoding="utf-8")
        try:
            write_paper(model, folder=folder, templates=templates)
        except typst.TypstError as error:
            raise _broken("paper.typ", error) from error
    return reports / profile / "index.html"


def write_studies(studies: Sequence[Study], folder: Path) -> list[Written]:
    """Write every study's folder, several at a time; what was written, per study."""
    folders = [folder / study.name for study in studies]
    workers = min(cpu_count() or 1, len(studies))
    if workers < 2 or len(studies) < FEW_STUDIES:
        return [write_study(s, f) for s, f in zip(studies, folders, strict=True)]
    # A fork starts at once but copies no other thread, so it is safe only where there is none.
    method = "fork" if sys.platform == "linux" and active_count() == 1 else "spawn"
    with ProcessPoolExecutor(workers, mp_context=get_context(method)) as pool:
        return list(pool.map(write_study, studies, folders))


def write_study(study: Study, folder: Path) -> Written:
    """Write runs.csv, cells.csv, the tables and the figures; returns the last two."""
    folder.mkdir(parents=True)
    for name, table in (("runs", study.frame), ("cells", study.cells)):
        whole_numbers(table).to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    tables = tuple(tables_for(study))
    for made in tables:
        write_table(made, folder)
    drawings = figures_for(study).items()
    return Written(tables, tuple(save(draw(study), folder, name) for name, draw in drawings))


def html(model: Document, *, templates: Path = TEMPLATES) -> str:
    """The page as one self-contained text; ReportError where its template does not work."""
    environment = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["header_spans"] = header_spans
    try:
        return environment.get_template("index.html.j2").render(page=model)
    except TemplateError as error:
        raise _broken(str(getattr(error, "name", None) or "index.html.j2"), error) from error


def _broken(template: str, error: Exception) -> ReportError:
    line = getattr(error, "lineno", None)
    place = f"{template}, line {line}" if line else template
    said = " ".join(str(error).split())
    return ReportError(f"report not written: template {place}: {said}; repair the template")


def whole_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its counting columns written as whole numbers."""
    counted = [name for name in COUNTED if name in table]
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
