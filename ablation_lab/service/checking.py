"""Whether a submitted study may be carried out: all that the command line says of its file.

Comes in: the text that came over HTTP, and under which profile. Goes out: what would be queued, or
the line that `ablation run` would say. It is checked aside, by a process that has the project's
plug-ins, so that no study, however large or hostile, keeps the service from answering.

A submitted study names what is registered here, and nothing else: what runs a command is taken as
the project's own file says it, or not at all, and no text of it reads the environment.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.runner.composition import compose, mendable
from ablation_lab.runner.configuration import read
from ablation_lab.runner.session import declare_studies, plan_lines
from ablation_lab.service.aside import Aside
from ablation_lab.study.files import RESOLVER, files_of, read_study, read_yaml
from ablation_lab.study.names import wrong_study
from ablation_lab.study.project import open_project

NAME = re.compile(r"\w[\w.-]{0,99}")
ID = 16  # letters
DEFAULT = "quick"


@dataclass(frozen=True)
class Checked:
    """A study that may be carried out; ``plan`` are the lines of `ablation plan`, if asked for."""

    id: str
    study: str
    profile: str
    text: str
    runs: int
    cells: int
    plan: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """Why a study may not be carried out, in the words of the command line."""

    line: str


@dataclass(frozen=True)
class Asked:
    """A body as it came: its text, its form, the profile, and whether a plan is wanted."""

    text: str
    profile: str = ""
    is_json: bool = False
    plan: bool = False


class Checker(Aside):
    """Checks studies of a project."""

    def __init__(self, project: Path, plugins: Sequence[str], words: Sequence[str]) -> None:
        super().__init__(project, plugins)
        self._words = tuple(words)

    def check(self, asked: Asked) -> Checked:
        """Return what would be queued. Errors: ``ConfigurationError``."""
        found = self.call(_check, asked, self._words)
        if isinstance(found, Refused):
            raise ConfigurationError(found.line)
        return found


def _check(asked: Asked, words: tuple[str, ...]) -> Checked | Refused:
    with tempfile.TemporaryDirectory() as folder:
        try:
            return checked(asked, words, Path(folder))
        except Exception as error:
            if line := mendable(error):
                return Refused(line.replace(f"{folder}/", ""))
            raise


def checked(asked: Asked, words: Sequence[str], folder: Path) -> Checked:
    """Check a study for the project of this folder; ``folder`` is for its file.

    Errors: those of `ablation plan`.
    """
    name, content, path = _written(asked, folder)
    project = open_project(Path.cwd())
    _validate_data_only(name, content, project.conf)
    profile = _profile(asked.profile, content, str(project.settings.get("profile", DEFAULT)), name)
    project = replace(project, beside=(path,), replaced=True)
    call = read(compose(project, [*words, f"profile={profile}"]), project)
    (declared,) = declare_studies(call)
    return Checked(
        id=identity(name, content, profile),
        study=name,
        profile=profile,
        text=path.read_text(encoding="utf-8"),
        runs=len(declared.runs),
        cells=sum(not cell.reason for cell in declared.cells),
        plan=tuple(plan_lines(call)) if asked.plan else (),
    )


def identity(name: str, content: Any, profile: str) -> str:
    """Return the id of a study: the sum of what is declared, in its order, and its profile."""
    said = json.dumps([name, profile, content], default=str)
    return hashlib.sha256(said.encode()).hexdigest()[:ID]


def _written(asked: Asked, folder: Path) -> tuple[str, Any, Path]:
    """Write the file of the study that a body declares; return its name and what it says."""
    body = folder / "study.yaml"
    body.write_text(_as_yaml(asked.text) if asked.is_json else asked.text, encoding="utf-8")
    content = read_yaml(body)
    if not isinstance(content, dict) or len(content) != 1:
        found = list(content) if isinstance(content, dict) else type(content).__name__
        raise ConfigurationError(
            f"study.yaml: expected one top-level key, the name of the study; found {found}"
        )
    name = str(next(iter(content)))
    if said := wrong_study(name) or ("" if NAME.fullmatch(name) else "expected letters, digits, _"):
        raise ConfigurationError(f"study.yaml: a study: {said}")
    path = folder / "study" / f"{name}.yaml"
    path.parent.mkdir()
    return name, read_study(body.rename(path)), path


def _as_yaml(text: str) -> str:
    try:
        return yaml.safe_dump(json.loads(text), sort_keys=False, allow_unicode=True)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"study.json: no JSON: {error}") from None


def _profile(asked: str, content: Any, default: str, name: str) -> str:
    known = content.get("profiles") if isinstance(content, Mapping) else None
    names = list(map(str, known)) if isinstance(known, Mapping) else []
    profile = asked or (default if default in names or not names else names[0])
    if not NAME.fullmatch(profile) or (names and profile not in names):
        raise ConfigurationError(
            f"study/{name}.yaml: no profile {profile!r}; {nearest(profile, names)}"
        )
    return profile


def _validate_data_only(name: str, content: Any, conf: Path) -> None:
    """Refuse what would run or read something that the project does not run or read itself."""
    for text in _texts(content):
        if match := RESOLVER.search(text):
            raise ConfigurationError(
                f"study/{name}.yaml: a submitted study reads nothing of the service's environment; "
                f"expected a value, found {match.string[:80]!r}"
            )
    run = content.get("run") if isinstance(content, Mapping) else None
    if isinstance(run, Mapping) and "command" in run:
        own = files_of("study", [conf]).get(name)
        if own is None or read_study(own) != content:
            raise ConfigurationError(
                f"study/{name}.yaml: run.command: no code travels over HTTP; expected the study as "
                f"{conf.name}/study/{name}.yaml of the project declares it"
            )


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from _texts(key)
            yield from _texts(value)
    elif isinstance(content, list):
        for value in content:
            yield from _texts(value)
