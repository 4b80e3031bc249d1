"""The papers: one of each study, in a few pages, and one of all, typeset by Typst.

In: a document. Out: a tagged PDF that keeps PDF/UA-1, the standard of accessible ones, and the
works that papers call for, as BibTeX.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ablation_lab.report.document import SENTENCES, Document
from ablation_lab.report.language import ENGLISH, IN_TEMPLATES, language, translated
from ablation_lab.report.text import FONTS, korean_font, needs_korean, plain, plain_values
from ablation_lab.report.works import works

PAPER = ("paper_parts.typ", "paper.typ")
REFERENCES = "references.bib"
DETAILS = re.compile(r" \([^()]*\)")
UNSETTABLE = "could not be displayed with font"


class ReportError(RuntimeError):
    """A report that could not be written, with the template and the reason in one line."""

    @classmethod
    def of(cls, template: str, error: Exception) -> ReportError:
        """What is wrong with a template."""
        line = getattr(error, "lineno", None)
        place = f"{template}, line {line}" if line else template
        said = " ".join(str(error).split())
        return cls(f"report not written: template {place}: {said}; repair the template")


def write_paper(
    model: Document, *, folder: Path, templates: Path, name: str = "paper", before: Path | None
) -> None:
    """Compile the templates with the model into `folder/<name>.pdf`.

    Typst reads the model as JSON, so no text of a study can be taken for markup; only fonts that
    come with it are used (and one for Korean where it is needed), and no date, so that the same
    store gives the same bytes. A text with a letter that no font has keeps no standard: then the
    paper is tagged, and says of itself no more. A paper of the folder `before` that was made of the
    same is taken over. ReportError for a template that does not compile.
    """
    text = json.dumps(
        {**paper_values(model), "said": _said(templates)}, sort_keys=True, ensure_ascii=False
    )
    font = korean_font() if needs_korean([text]) else None
    source, file = typst_source(templates), f"{name}.pdf"
    mark = _mark(text.encode(), source, *_figures(model, folder), str(font).encode())
    if before is not None and (before / file).exists():
        known = (before / file).read_bytes()
        if mark.encode() in known:
            (folder / file).write_bytes(known)
            return
    inputs = {"paper": text, "korean": FONTS[font.name] if font else "", "mark": mark}
    _typeset(
        source,
        folder / file,
        root=folder,
        font_paths=[font.parent] if font else [],
        ignore_system_fonts=True,
        sys_inputs=inputs,
    )


def _mark(*parts: bytes) -> str:
    """What a paper is made of, as a word that stands among its keywords."""
    each = (hashlib.sha256(part).digest() for part in (version("typst").encode(), *parts))
    return hashlib.sha256(b"".join(each)).hexdigest()


def _figures(model: Document, folder: Path) -> Iterator[bytes]:
    pictures = [picture for study in model.studies for picture in study.pictures]
    return ((folder / each.file).read_bytes() for each in (*pictures, *model.calibration))


def _typeset(source: bytes, file: Path, **settings: Any) -> None:
    # Not before it is needed: it starts threads of its own, after which no process may fork.
    import typst

    try:
        typst.compile(source, file, pdf_standards=["ua-1"], **settings)
    except typst.TypstError as refused:
        if UNSETTABLE not in str(refused):
            raise ReportError.of(PAPER[-1], refused) from refused
        typst.compile(source, file, **settings)


def typst_source(templates: Path) -> bytes:
    """The templates as one: what is compiled from memory can import no file beside it."""
    return b"".join((templates / name).read_bytes() for name in PAPER)


def paper_values(model: Document) -> dict[str, Any]:
    """The document as what JSON knows, each sentence of its tables' captions in it once.

    A table refers by `like` to an earlier one of its kind for the sentences that both captions
    have, and only where the captions have equally many: else one of the earlier ones would seem to
    hold here too.
    """
    values: dict[str, Any] = plain_values(model)
    values["language"] = language()
    earlier: dict[str, tuple[str, list[str]]] = {}
    for study, section in zip(values["studies"], model.studies, strict=True):
        study["finding"] = plain(section.finding)
        study["headline"] = plain(section.summary.headline)
        study["short"] = DETAILS.sub("", study["headline"]).removesuffix(".")
        for table in study["tables"]:
            label = f"table-{study['name']}-{table['name']}"
            sentences = SENTENCES.split(table["caption"])
            place, said = earlier.setdefault(table["name"], (label, sentences))
            if place != label and len(said) == len(sentences):
                own = [mine for mine, other in zip(sentences, said, strict=True) if mine != other]
                table.update(caption=" ".join(own), like=place)
    return values


def _said(templates: Path) -> dict[str, str]:
    """What the templates themselves say, in the language of the report."""
    if language() == ENGLISH:
        return {}
    found = IN_TEMPLATES.finditer(typst_source(templates).decode())
    return {each["only"]: translated(each["only"]) for each in found if each["only"]}


def write_references(folder: Path) -> None:
    """Write every work that a paper may call for, for a bibliography of one's own."""
    entries = "\n".join(work.bibtex for work in works())
    (folder / REFERENCES).write_text(entries, encoding="utf-8")
