"""What a report folder keeps of a study, so that what did not change is not made again.

In: a study, and the folder of an earlier report. Out: its stamp, a digest of all that its files and
its page show and of the code that writes them; where the folder has that stamp, what it says. A
study whose rows in the store are those of then is taken over without reading a run.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from ablation_lab.report.contrast_rows import contrast_rows
from ablation_lab.report.cross_study import untrained_of
from ablation_lab.report.document import Section, Summary
from ablation_lab.report.methods import facts_of, own_words
from ablation_lab.report.reference_values import answers_of
from ablation_lab.report.study import Study
from ablation_lab.report.text import korean_font
from ablation_lab.report.told import Told
from ablation_lab.store.stamps import code
from ablation_lab.study.declaration import Declaration

SECTION, TOLD, STAMP = "section.json", ".told.json", ".stamp"
PUBLISHED = "published"
PAGES = ("html", "pdf")
# What draws and sets, beside our own code.
PACKAGES = ("jinja2", "matplotlib", "numpy", "pandas", "scikit-learn", "scipy", "seaborn", "typst")
READER, TOLD_READER = TypeAdapter(Section), TypeAdapter(Told)


def told(study: Study) -> Told:
    """What the pages over all studies need of one."""
    return Told(
        declaration=study.declaration,
        answers=answers_of(study),
        contrasts=contrast_rows(study),
        words=own_words(study),
        facts=facts_of(study),
        untrained=untrained_of(study),
    )


def rows_stamp(rows: str, declaration: Declaration, *how: str) -> str:
    """A digest of the rows that a store has of a study and of `how` its pages are written."""
    parts = (code(), rows, declaration.model_dump_json(), str(korean_font()), *how, *_versions())
    return hashlib.sha256("".join(f"{len(x)}:{x}" for x in parts).encode()).hexdigest()


def _versions() -> list[str]:
    return [version(name) for name in PACKAGES]


def stamp(study: Study, *how: str) -> str:
    """A digest of a study and of `how` its pages are written."""
    digest = hashlib.sha256(code().encode())
    said = (study.published, study.protocol, study.problems, study.experiment_id, korean_font())
    for text in (*how, study.declaration.model_dump_json(), *map(repr, said)):
        digest.update(f"{len(text)}:{text}".encode())
    for table in (study.frame, study.extra, study.curves, study.reference_curves):
        digest.update(repr(list(table.columns)).encode())
        digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    digest.update(repr(_versions()).encode())
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
        """What it says of a study, where all of that is there and one of its stamps is wanted."""
        try:
            known = (self.folder / name / STAMP).read_text(encoding="utf-8").split()
        except (OSError, ValueError):
            return None
        whole = all((self.folder / f"{name}.{ending}").exists() for ending in PAGES)
        if not whole or wanted not in known or (published and PUBLISHED not in known):
            return None
        return self._read(name)

    def told(self, declaration: Declaration) -> Told | None:
        """What the pages over all studies need of one; None where that is lost or damaged."""
        try:
            known = json.loads((self.folder / declaration.study / TOLD).read_bytes())
            return TOLD_READER.validate_python({**known, "declaration": declaration})
        except (OSError, TypeError, ValueError):
            return None

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


def keep(section: Section, said: Told, folder: Path, *, stamps: Sequence[str]) -> None:
    """Keep beside a study's files what the report says of it, and the stamps it holds for."""
    kept = TOLD_READER.dump_python(said, exclude={"declaration"})
    for name, value in ((SECTION, section), (TOLD, kept)):
        (folder / name).write_bytes(to_json(value, inf_nan_mode="constants"))
    (folder / STAMP).write_text(" ".join(filter(None, stamps)), encoding="utf-8")
