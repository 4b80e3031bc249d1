"""A project: the folder in which one works, with its studies, plug-ins, store and reports.

Comes in: a folder. Goes out: a ``Project``, whose ``conf/`` was found. Everything else that a call
reads or writes lies in the same folder: ``conf/study/NAME.yaml``, ``conf/config.yaml``, packages of
one's own, ``runs/`` and ``reports/``. And every declared study with what a profile asks of it,
whether or not anything of it ran: no data is looked for and no key is made, so that listing costs
milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unicodedata import normalize

from ablation_lab.errors import ConfigurationError
from ablation_lab.study.files import files_of, read_study, read_yaml
from ablation_lab.study.grid import expand
from ablation_lab.study.schema import Study, parse_study

CONF = "conf"
SETTINGS = "config.yaml"


@dataclass(frozen=True)
class Project:
    """A folder with ``conf/study/``, and what its ``conf/config.yaml`` says.

    ``beside`` are files of studies that lie elsewhere, each of which a call is about; they may
    stand for those of the project if these are ``replaced``.
    """

    folder: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    beside: tuple[Path, ...] = ()
    replaced: bool = False

    @property
    def conf(self) -> Path:
        """The folder of its declarations."""
        return self.folder / CONF

    @property
    def declared(self) -> tuple[str, ...]:
        """The names of all its studies, sorted."""
        return tuple(sorted(files_of("study", [self.conf])))

    @property
    def studies(self) -> tuple[str, ...]:
        """The studies of a call that names none: those of config.yaml in its order, or all."""
        chosen = self.settings.get("study")
        return tuple(map(str, chosen)) if chosen else self.declared

    @property
    def plugins(self) -> tuple[str, ...]:
        """The packages that every call of the project imports."""
        return tuple(map(str, self.settings.get("plugins") or ()))


def open_project(folder: Path) -> Project:
    """Return the project in a folder.

    Errors: ``ConfigurationError`` where there is none, or its settings are no mapping of settings.
    """
    conf = folder / CONF
    if not (conf / "study").is_dir():
        raise ConfigurationError(
            f"no project in {folder}: expected a folder {CONF}/study with a file for each study; "
            "`ablation new NAME` writes a project, --project FOLDER names one elsewhere"
        )
    path = conf / SETTINGS
    settings = (read_yaml(path) or {}) if path.is_file() else {}
    if not isinstance(settings, Mapping):
        raise ConfigurationError(f"{path}: expected settings such as plugins, found {settings!r}")
    for key in ("study", "plugins"):
        value = settings.get(key, [])
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise ConfigurationError(f"{path}: {key}: expected a list of names, found {value!r}")
    _refuse_twins(conf)
    return Project(folder, settings)


def _refuse_twins(conf: Path) -> None:
    """Refuse names that differ in capitals or accents' form only: some systems have one file."""
    known: dict[str, Path] = {}
    for path in files_of("study", [conf]).values():
        other = known.setdefault(normalize("NFC", path.stem).casefold(), path)
        if other != path:
            raise ConfigurationError(
                f"{path}: a study of the name of {other}, but for capitals or how accents are "
                "written; rename one of them"
            )


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
