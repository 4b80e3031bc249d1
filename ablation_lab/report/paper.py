"""The paper: the same document as a PDF, words and narrow tables in two columns.

In: a Document and the folder that holds its figures. Out: `paper.pdf`. Typst reads the model as
JSON, so no text of a study can be taken for markup; only fonts that come with Typst are used (and
one for Korean where it is needed), and no date, so that the same store gives the same bytes.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ablation_lab.report.document import Document
from ablation_lab.report.letters import FAMILY, korean_font, needs_korean
from ablation_lab.report.text import plain_values

TEMPLATE = "paper.typ"
SENTENCES = re.compile(r"(?<=\.) (?=[A-Z])")


class PaperError(RuntimeError):
    """A paper that could not be typeset, with what the typesetter said."""


def write_paper(model: Document, *, folder: Path, templates: Path, name: str = "paper") -> None:
    """Compile `templates/paper.typ` with the model into `folder/<name>.pdf`.

    Raises PaperError for a template that does not compile.
    """
    # Not before it is needed: it starts threads of its own, after which no process may fork.
    import typst

    text = json.dumps(paper_values(model), sort_keys=True, ensure_ascii=False)
    font = korean_font() if needs_korean([text]) else None
    source: Any = (templates / TEMPLATE).read_bytes()
    try:
        typst.compile(
            source,
            folder / f"{name}.pdf",
            root=folder,
            font_paths=[font.parent] if font else [],
            ignore_system_fonts=True,
            sys_inputs={"paper": text, "korean": FAMILY if font else ""},
        )
    except typst.TypstError as error:
        raise PaperError(str(error)) from error


def paper_values(model: Document) -> dict[str, Any]:
    """The document as what JSON knows, each sentence of its tables' captions in it once.

    A table refers by `like` to an earlier one of its kind for the sentences that both captions
    have, and only where the captions have equally many: else one of the earlier ones would seem to
    hold here too.
    """
    values: dict[str, Any] = plain_values(model)
    earlier: dict[str, tuple[str, list[str]]] = {}
    for study in values["studies"]:
        for table in study["tables"]:
            label = f"table-{study['name']}-{table['name']}"
            sentences = SENTENCES.split(table["caption"])
            place, said = earlier.setdefault(table["name"], (label, sentences))
            if place != label and len(said) == len(sentences):
                own = [mine for mine, other in zip(sentences, said, strict=True) if mine != other]
                table.update(caption=" ".join(own), like=place)
    return values
