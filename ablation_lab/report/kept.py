"""What a report folder keeps of a study, so that what did not change is not made again.

In: a study, and the folder of an earlier report. Out: its stamp, a digest of all that its files and
its page show and of the code that writes them; where the folder has that stamp, what it says.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from ablation_lab.report.document import Section, Summary
from ablation_lab.report.study import Study
from ablation_lab.report.text import korean_font
from ablation_lab.store.stamps import code

SECTION, STAMP = "section.json", ".stamp"
PUBLISHED = "published"
PAGES = ("html", "pdf")
# What draws and sets, beside our own code.
PACKAGES = ("jinja2", "matplotlib", "numpy", "pandas", "scikit-learn", "scipy", "seaborn", "typst")
READER = TypeAdapter(Section)


def stamp(study: Study, *how: str) -> str:
    """A digest of a study and of `how` its pages are written."""
    digest = hashlib.sha256(code().encode())
    said = (study.published, study.protocol, study.problems, study.experiment_id, korean_font())
    for text in (*how, study.declaration.model_dump_json(), *map(repr, said)):
        digest.update(f"{len(text)}:{text}".encode())
    for table in (study.frame, study.extra, study.curves, study.reference_curves):
        digest.update(repr(list(table.columns)).encode())
        digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    digest.update(repr([version(name) for name in PACKAGES]).encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class Kept:
    """The folder of an earlier report, whose pages lie in it and whose studies in folders of it."""

    folder: Path

    @property
    def studies(self) -> list[str]:
        """The studies that it tells of, by name."""
        return [path.parent.name for path in sorted(self.folder.glob("*/runs.csv"))]

    def section(self, name: str, wanted: str, *, published: bool) -> Section | None:
        """What it says of a study, where all of that is there and still holds."""
        try:
            text = (self.folder / name / STAMP).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None
        known = text.split()
        whole = all((self.folder / f"{name}.{ending}").exists() for ending in PAGES)
        if not whole or known[:1] != [wanted] or (published and PUBLISHED not in known):
            return None
        return self._read(name)

    def summary(self, name: str) -> Summary:
        """The card of a study; nothing but its name where that is damaged."""
        found = self._read(name)
        return found.summary if found else Summary(name, name)

    def take_over(self, name: str, into: Path) -> None:
        """Copy what lies of a study into the folder of a new report."""
        shutil.copytree(self.folder / name, into / name)
        for ending in PAGES:
            page = self.folder / f"{name}.{ending}"
            if page.exists():
                shutil.copy2(page, into)

    def _read(self, name: str) -> Section | None:
        try:
            return READER.validate_json((self.folder / name / SECTION).read_bytes())
        except (OSError, ValidationError):
            return None


def keep(section: Section, folder: Path, *, made: str, published: bool) -> None:
    """Keep beside a study's files what the report says of it, and the stamp that it holds for."""
    (folder / SECTION).write_bytes(to_json(section, inf_nan_mode="constants"))
    words = (made, PUBLISHED) if published else (made,)
    (folder / STAMP).write_text(" ".join(words), encoding="utf-8")
