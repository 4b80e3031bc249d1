"""A project entered: its folder, and the packages that it and a call name.

Comes in: a folder. Goes out: a project whose plug-ins have been imported: packages that register
families, data sets, metrics and the like by being imported, from entry points of the group
``ablation_lab.plugins``, from ``plugins`` in the project's ``conf/config.yaml``, and from ``-p`` or
``plugins=[...]``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path

from ablation_lab.errors import ConfigurationError
from ablation_lab.study.project import Project, open_project
from ablation_lab.training.fault import RAISED, place_of, said, traced
from ablation_lab.training.packages import import_packages

PLUGINS = "ablation_lab.plugins"


def enter(folder: Path, plugins: Sequence[str] = (), words: Sequence[str] = ()) -> Project:
    """Open the project in a folder, go there, and import its plug-ins and those of the call.

    Every path of a call (store, reports, data) is relative to the project.
    Errors: ``ConfigurationError``.
    """
    project = open_project(folder)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    found = import_plugins(project, [*plugins, *typed_plugins(words)])
    return replace(project, settings={**project.settings, "plugins": found})


def import_plugins(project: Project, further: Sequence[str]) -> list[str]:
    """Import what is installed for the lab, then the project's packages, then those of the call.

    Errors: ``ConfigurationError`` for one that is not there or raises.
    """
    installed = [entry.module for entry in entry_points(group=PLUGINS)]
    names = [*dict.fromkeys([*installed, *project.plugins, *further])]
    for name in names:
        _import_plugin(name, project.folder)
    return names


def typed_plugins(words: Iterable[str]) -> list[str]:
    """Return what ``plugins=[...]`` among the words of a call names."""
    return [name for word in words for name in _typed_plugins(word)]


def _typed_plugins(word: str) -> list[str]:
    key, _, value = word.lstrip("+").partition("=")
    if key != "plugins":
        return []
    if not (value.startswith("[") and value.endswith("]")):
        raise ConfigurationError(f"plugins: expected a list, [{value}], found {value!r}")
    return [name.strip().strip("'\"") for name in value[1:-1].split(",") if name.strip()]


def _import_plugin(name: str, folder: Path) -> None:
    try:
        import_packages([name])
    except RAISED as error:  # a user's package may raise whatever it likes
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            raise ConfigurationError(
                f"plugins: no package {name!r}; it is looked for in {folder} and on PYTHONPATH"
            ) from None
        # A syntax error names its place itself.
        place = "" if isinstance(error, SyntaxError) else place_of(traced(error), [name])
        where = f" ({place})" if place else ""
        raise ConfigurationError(
            f"plugins: {name!r} cannot be imported: {said(error)}{where}"
        ) from None
