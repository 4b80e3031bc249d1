"""Writes a report folder: data, tables, figures and a page per study, and pages over all of them.

In: studies as read from the store. Out: `<reports>/<profile>/`. Everything is written to a new
folder beside the target, which takes its place only when it is complete: whatever breaks, the old
report stays. The same store gives the same bytes.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path
from threading import active_count
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError
from markupsafe import Markup, escape

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
from ablation_lab.report.files import write_study
from ablation_lab.report.glossary import words_of
from ablation_lab.report.kept import PUBLISHED, Kept, keep, rows_stamp, stamp, told
from ablation_lab.report.language import ENGLISH, language, tr, trn, written_in
from ablation_lab.report.numbers import write_all_numbers
from ablation_lab.report.paper import ReportError, write_paper, write_references
from ablation_lab.report.publishing import publish_cells, publish_files
from ablation_lab.report.study import Stored, Study
from ablation_lab.report.text import plain
from ablation_lab.report.told import Told
from ablation_lab.store.pages import Server
from ablation_lab.study.references import ReferenceValue

if TYPE_CHECKING:
    from ablation_lab.study.project import Listed

BASE_URL = "http://127.0.0.1:5000/mlflow"
TEMPLATES = Path(__file__).parent / "templates"
INDEX, STUDY, VALUES = "index", "study", "values"
FURTHER = ("methods", "provenance")  # pages of every report
INTERVAL = re.compile(r"(\[[^\[\]]*\])")
FEW_STUDIES = 3  # fewer are drawn faster than a second process starts


def write_report(
    studies: Sequence[Study | Stored], *, profile: str, reports: Path, base_url: str = BASE_URL,
    templates: Path = TEMPLATES, references: Sequence[ReferenceValue] = (),
    listed: Sequence[Listed] = (), beside: bool = False, order: Sequence[str] = (),
    publish: str = "", language: str = ENGLISH,
) -> Path:  # fmt: skip
    """Write `<reports>/<profile>/` and return the path of its index.html.

    Every study has a page and a paper of its own; index.html has a card of each, first those that
    `order` names, and paper.pdf is about all of `studies`. `values.csv` has every reference value
    of the references, and those that the studies carry; of the declared studies that are `listed`,
    those that have no runs are rows that say why. With `beside`, what was reported of other studies
    before stays, and the index leads to it. A study of which nothing changed is taken over; one
    that is made anew is written to the store `publish`, where one is given.

    Raises StoreError for a store that cannot be read, ReportError for a template that does not
    work; whatever is raised, the report that was there before is untouched.
    """
    before = Kept(reports / profile)
    pages = Pages(profile, Server(base_url), templates, tuple(order), before, publish, language)
    with replaced_folder(reports / profile) as folder, written_in(language):
        written = write_studies(in_order(studies, order), folder, pages=pages)
        others = pages.keep_others(folder) if beside else ()
        made, sections = [each.told for each in written], [each.section for each in written]
        across = Across.over(made, references=references, listed=listed)
        across.write(folder)
        write_all_numbers(across.answers, folder, profile=profile)
        write_references(folder)
        pages.write(made, sections, across, folder=folder, others=others)
    return reports / profile / "index.html"


@dataclass(frozen=True)
class Written:
    """What a study whose files are in the new folder tells, and what its page says."""

    told: Told
    section: Section


@dataclass(frozen=True)
class Pages:
    """How pages and papers are written: all but what stands on them.

    `before` is the report that there was, `publish` the store that is to show what is made, or ''.
    """

    profile: str
    server: Server
    templates: Path
    order: tuple[str, ...]
    before: Kept
    publish: str
    language: str = ENGLISH

    def write(
        self,
        studies: Sequence[Study | Told],
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
        write_paper(
            model, folder=folder, templates=self.templates, name=name or "paper",
            before=self.before.folder,
        )  # fmt: skip

    def write_study(self, given: Study | Stored, folder: Path) -> Written:
        """Write the folder of a study, its page and its paper, or take them over."""
        with written_in(self.language):  # also in a process that was started for it
            return self._write_study(given, folder)

    def _write_study(self, given: Study | Stored, folder: Path) -> Written:
        if kept := self._unread(given, folder):
            return kept
        study = given if isinstance(given, Study) else given.read()
        kept_section = self.before.section(study.name, self._stamp(study), published=self._shown)
        if kept_section is not None:
            self.before.take_over(study.name, folder)
            return self._keep(given, study, kept_section, folder)
        if self.publish:
            study = publish_cells(study, self.publish)
        tables, figures = write_study(study, folder / study.name)
        made = section(study, tables, figures, server=self.server)
        self.write([study], [made], Across.over([study]), folder=folder, name=study.name)
        if self.publish:
            publish_files(study, self.publish, folder)
        return self._keep(given, study, made, folder)

    def _unread(self, given: Study | Stored, folder: Path) -> Written | None:
        """A study taken over without being read, where the store's rows are those of before."""
        stamp, name = self._rows_stamp(given), given.name
        section = self.before.section(name, stamp, published=self._shown) if stamp else None
        said = self.before.told(given.declaration) if section else None
        if section is None or said is None:
            return None
        self.before.take_over(name, folder)
        return Written(said, section)

    def _keep(self, given: Study | Stored, study: Study, made: Section, folder: Path) -> Written:
        said, published = told(study), PUBLISHED if self._shown else ""
        stamps = (self._stamp(study), self._rows_stamp(given), published)
        keep(made, said, folder / study.name, stamps=stamps)
        return Written(said, made)

    @property
    def _shown(self) -> bool:
        """Whether a store is to show what is made."""
        return bool(self.publish)

    def keep_others(self, folder: Path) -> tuple[Summary, ...]:
        """Take over from the report before what is not written anew; the cards of those studies."""
        kept = [name for name in self.before.studies if not (folder / name).exists()]
        for name in kept:
            self.before.take_over(name, folder)
        return tuple(map(self.before.summary, kept))

    def _stamp(self, study: Study) -> str:
        return stamp(study, *self._how)

    def _rows_stamp(self, given: Study | Stored) -> str:
        """'' where nothing tells cheaply whether a study is as it was."""
        rows = "" if isinstance(given, Study) else given.rows
        return rows_stamp(rows, given.declaration, *self._how) if rows else ""

    @property
    def _how(self) -> tuple[str, ...]:
        templates = [path.read_text("utf-8") for path in sorted(self.templates.iterdir())]
        return (self.profile, self.server.base_url, self.language, *templates)


def write_studies(
    studies: Sequence[Study | Stored], folder: Path, *, pages: Pages
) -> list[Written]:
    """Read and write every study's folder and pages, several at a time."""
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
    environment.globals |= {
        "words_of": words_of,
        "language": language(),
        "tr": _marked_up(tr),
        "trn": _marked_up(trn),
    }
    environment.filters["unbroken"] = _unbroken
    try:
        return environment.get_template(f"{page}.html.j2").render(page=model)
    except TemplateError as error:
        name = str(getattr(error, "name", None) or f"{page}.html.j2")
        raise ReportError.of(name, error) from error


def _unbroken(text: str) -> Markup:
    """Text whose intervals, in brackets, no line may break."""
    return Markup(INTERVAL.sub(r"<span>\1</span>", str(escape(plain(text)))))


def _marked_up(say: Callable[..., str]) -> Callable[..., Markup]:
    """`tr` for templates: a sentence is our markup, what stands in it is escaped."""

    def said(*message: Any, **values: Any) -> Markup:
        return Markup(say(*message, **{name: _escaped(each) for name, each in values.items()}))

    return said


def _escaped(value: Any) -> Any:
    return escape(_plain(value)) if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    """What a template prints, but for markup, as text that any page can hold."""
    return plain(value) if type(value) is str else value


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
