"""Every declared study with what a profile asks of it, whether or not anything of it ran. Pure.

Comes in: the folders of declarations and a profile. Goes out: one ``Listed`` for each study file.
No data is looked for and no key is made, so that listing costs milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ablation_lab.errors import ConfigurationError
from ablation_lab.study.files import files_of, read_study
from ablation_lab.study.grid import expand
from ablation_lab.study.schema import Study, parse_study


@dataclass(frozen=True)
class Listed:
    """A declared study: what it asks, and how many runs it declares under ``profile``.

    ``profile`` is the one that was asked for, or the study's last where it has no such; then
    ``asked`` is false. ``needs`` is what that profile cannot do without. ``problem`` says what is
    wrong with a declaration that cannot be read.
    """

    study: str
    profile: str
    title: str
    question: str = ""
    needs: str = ""
    runs: int = 0
    asked: bool = True
    problem: str = ""


def catalogue(profile: str, folders: Iterable[Path]) -> tuple[Listed, ...]:
    """Return every study of the folders, sorted by name."""
    places = list(folders)
    return tuple(
        _listed(name, path, profile) for name, path in sorted(files_of("study", places).items())
    )


def _listed(name: str, path: Path, profile: str) -> Listed:
    """List a study; one that is declared wrongly says so, and hides no other one."""
    try:
        study = parse_study(name, read_study(path), path)
        asked = profile in study.budgets
        trained = profile if asked else list(study.budgets)[-1]
        runs = _runs(study, trained)
    except ConfigurationError as error:
        said = " ".join(str(error).split())
        return Listed(name, profile, title=name, problem=f"its declaration cannot be read: {said}")
    return Listed(
        study=name,
        profile=trained,
        title=study.title,
        question=study.question,
        needs=study.budgets[trained].needs,
        runs=runs,
        asked=asked,
    )


def _runs(study: Study, profile: str) -> int:
    cells = expand(study, profile)
    return sum(cell.replicates for cell in cells if not cell.reason)
