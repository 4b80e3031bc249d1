"""The resolved configuration of a run: model, data, optimizer, …, or a command, or a check.

``resolve`` lays the study's ``run`` section, the levels of a cell and the profile's ``overrides``
over the defaults of what they name: the settings of a family are the arguments of its class. A
setting that it does not have is an error. Pure; the result is plain data, ready for hashing.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ablation_lab.data import DATASETS, load
from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.study.command import Command, Limits, with_code
from ablation_lab.study.reading import Key, Written, problems_of
from ablation_lab.study.run import Check, Ensemble, Training
from ablation_lab.study.signatures import known, settings_of_function, signature
from ablation_lab.study.stacking import is_function
from lightning_modules.registry import FAMILIES, OPTIMIZERS, SCHEDULERS
from lightning_modules.signatures import INTERVAL, Signature, signature_of

# Arguments that every family is given beside its own settings.
GIVEN = ("input_shape", "classes", "optimizer", "loss", "l2", "seed")
# What can be asked of every data set.
OF_DATA = signature_of(load).without(("root", "split_seed"))
OF_TRAINING = ("model", "data", "optimizer", "scheduler", "training", "ensemble", "limits")
SECTIONS = (*OF_TRAINING, "check", "params")
OF_COMMAND = (*Command.known(), "params", "limits")


@dataclass(frozen=True)
class Wrong:
    """What is wrong with a setting, and where it was given.

    ``layer`` counts the mappings that were laid over one another, and ``key`` is the one in it.
    """

    layer: int
    key: Key
    shown: str
    said: str

    def __str__(self) -> str:
        """The sentence with the setting before it."""
        return ": ".join(filter(None, (self.shown, self.said)))


class WrongSettings(ConfigurationError):
    """All that is wrong with the settings of a cell."""

    def __init__(self, place: str, wrong: Iterable[Wrong]) -> None:
        self.wrong = tuple(wrong)
        super().__init__("\n".join(f"{place}: {each}" for each in self.wrong))


def resolve(
    base: Mapping[str, Any],
    overrides: Sequence[Mapping[str, Any]],
    place: str,
    *,
    project: Path | None = None,
) -> dict[str, Any]:
    """Return the complete configuration of a cell; later overrides win.

    ``project`` is the folder in which the files of a command lie, that of the call if None.
    Errors: ``WrongSettings`` with everything that is wrong.
    """
    laid = _Laid()
    for changes in (base, *overrides):
        laid.over(changes)
    resolved = _Completed(laid.config, project or Path())
    wrong = [*laid.wrong, *(laid.where(*problem) for problem in resolved.problems)]
    if wrong:
        raise WrongSettings(place, wrong)
    return resolved.config


class _Laid:
    """Mappings laid over one another, and from which of them, by which key, each setting is."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}
        self.wrong: list[Wrong] = []
        self._origins: dict[Key, tuple[int, Key]] = {}
        self._layer = -1

    def over(self, changes: Mapping[str, Any]) -> None:
        """Set dotted keys; a key without a dot replaces its whole section."""
        self._layer += 1
        for key, value in changes.items():
            *outer, last = key.split(".")
            if said := self._unset(outer, last):
                self.wrong.append(Wrong(self._layer, (key,), *said))
                continue
            target = self.config
            for name in outer:
                target = target.setdefault(name, {})
            target[last] = copy.deepcopy(value)
            path = (*outer, last)
            inside = [each for each in self._origins if each[: len(path)] == path]
            for each in inside:
                del self._origins[each]
            self._origins[path] = self._layer, (key,)

    def where(self, path: Key, shown: Key, said: str) -> Wrong:
        """Return a problem with a setting, at the key by which it, or what it is in, was set."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._origins:
                layer, key = self._origins[path[:length]]
                return Wrong(layer, (*key, *path[length:]), _dotted(shown), said)
        first = [origin for each, origin in self._origins.items() if each[:1] == path[:1]]
        layer, key = first[0] if first else (0, ())
        return Wrong(layer, key, _dotted(shown), said)

    def _unset(self, outer: list[str], last: str) -> tuple[str, str] | None:
        """Say why a key cannot be set."""
        key = ".".join((*outer, last))
        section = key.partition(".")[0]
        if section not in (known := (*SECTIONS, *Command.known())):
            return "", f"unknown key {key!r}; {nearest(section, known)}"
        target: Any = self.config
        for number, name in enumerate(outer, start=1):
            target = target.get(name, {})
            if not isinstance(target, dict):
                return ".".join(outer[:number]), f"expected a mapping, found {target!r}"
        return None


class _Completed:
    """A configuration with the defaults of all that it names, and what is wrong with it."""

    def __init__(self, given: Mapping[str, Any], project: Path) -> None:
        self._given = given
        self._project = project
        self.problems: list[tuple[Key, Key, str]] = []
        self.config = self._complete_run()

    def _complete_run(self) -> dict[str, Any]:
        if "command" in self._given:
            return self._command()
        return self._check() if "check" in self._given else self._training_run()

    def _command(self) -> dict[str, Any]:
        """Complete the configuration of a run that is a process of its own."""
        self._refuse_others("a command", OF_COMMAND)
        return {
            "command": self._read(Command, "", self._with_code),
            "params": dict(self._given.get("params", {})),
            "limits": self._read(Limits, "limits", _plain),
        }

    def _function(self, name: str) -> dict[str, Any]:
        """Complete the configuration of a run that calls a function."""
        self._refuse_others(f"the function {name!r}", ("model", "limits"))
        return {
            "model": self._named("model", "family", known(FAMILIES)),
            "limits": self._read(Limits, "limits", _plain),
        }

    def _with_code(self, command: Command) -> dict[str, Any]:
        resolved, problems = with_code(command, self._given.get("params", {}), self._project)
        for key, said in problems:
            self._add(key, key, said)
        return resolved

    def _refuse_others(self, what: str, known: Sequence[str]) -> None:
        """Refuse the sections that such a run does not have."""
        for key in self._given:
            if key not in known:
                self._add((key,), (), f"unknown key {key!r} of {what}; known: {', '.join(known)}")

    def _training_run(self) -> dict[str, Any]:
        model = self._given.get("model")
        if isinstance(model, Mapping) and is_function(str(model.get("family"))):
            return self._function(str(model["family"]))
        self._refuse_others("a run that trains", OF_TRAINING)
        resolved = {
            "model": self._named("model", "family", known(FAMILIES)),
            "data": self._named("data", "name", sorted(DATASETS.names())),
            "optimizer": self._named("optimizer", "name", known(OPTIMIZERS)),
            "training": self._read(Training, "training", lambda found: found.resolved),
        }
        if self._given.get("scheduler"):
            resolved["scheduler"] = self._named("scheduler", "name", known(SCHEDULERS))
        if self._given.get("ensemble"):
            resolved["ensemble"] = self._read(Ensemble, "ensemble", _plain)
        if self._given.get("limits"):
            resolved["limits"] = self._read(Limits, "limits", _plain)
        return resolved

    def _check(self) -> dict[str, Any]:
        """Complete the configuration of a run that computes a check and trains nothing."""
        self._refuse_others("a check", ("check", "data"))
        resolved = {"check": self._read(Check, "check", _plain)}
        if "data" in self._given:
            resolved["data"] = self._named("data", "name", sorted(DATASETS.names()))
        return resolved

    def _read(self, model: type[Written], section: str, content: Any) -> Any:
        """Complete a section that is a model; '' is what stands beside the sections."""
        at = (section,) if section else ()
        beside = {key: each for key, each in self._given.items() if key in model.known()}
        try:
            given = self._given.get(section, {}) if section else beside
            return content(model.model_validate(given, context={"written": True}))
        except ValidationError as error:
            for stands, shown, said in problems_of(model, error):
                self._add((*at, *stands), (*at, *shown), said)
        return {}

    def _named(self, section: str, key: str, names: Sequence[str]) -> dict[str, Any]:
        """Complete a section by the arguments of what it names."""
        given = self._given.get(section)
        if not isinstance(given, Mapping) or key not in given:
            said = f"expected a mapping with {key!r}, found {given!r}"
            return self._add((section,), (section,), said)
        name = given[key]
        if not isinstance(name, str) or name not in names:
            said = f"unknown name {name!r}; {nearest(name, names)}"
            return self._add((section, key), (section, key), said)
        arguments = self._arguments(section, name)
        return {key: name, **self._complete(section, key, arguments)}

    def _arguments(self, section: str, name: str) -> Signature:
        """Return the settings that a section can have beside the name."""
        match section:
            case "model":
                return self._of_family(name)
            case "optimizer":
                return signature(OPTIMIZERS, name)
            case "scheduler":
                self._refuse_ignored_schedule()
                return signature(SCHEDULERS, name).also(INTERVAL)
        return OF_DATA

    def _of_family(self, name: str) -> Signature:
        if is_function(name):
            return settings_of_function(name)
        arguments = signature(FAMILIES, name)
        lacking = [repr(each) for each in GIVEN if each not in arguments.settings]
        if lacking and not arguments.open:
            said = (
                f"the class of {name!r} takes no {', '.join(lacking)}, which every family is "
                "given; add the argument, or **_ for those that it does not use"
            )
            self._add(("model", "family"), ("model", "family"), said)
        return Signature(arguments.without((*GIVEN, "scheduler")).settings)

    def _refuse_ignored_schedule(self) -> None:
        model = self._given.get("model")
        family = model.get("family") if isinstance(model, Mapping) else None
        if family in known(FAMILIES) and "scheduler" not in signature(FAMILIES, family).settings:
            said = (
                f"the class of {family!r} has no argument 'scheduler' and would ignore it; leave "
                "it out"
            )
            self._add(("scheduler",), ("scheduler",), said)

    def _complete(self, section: str, name_key: str, arguments: Signature) -> dict[str, Any]:
        """Complete a section from the defaults of the arguments."""
        values = {key: value for key, value in self._given[section].items() if key != name_key}
        allowed = (name_key, *arguments.settings)
        if section == "model" and arguments.open:
            allowed = (name_key, *arguments.settings, *values)
        for key in values:
            if key not in allowed:
                said = f"unknown key {key!r}; {nearest(key, allowed)}"
                self._add((section, key), (section,), said)
        own = {key: value for key, value in values.items() if key in allowed}
        for key, said in arguments.problems(own):
            self._add((section, key), (section, key), said)
        return arguments.completed(own)

    def _add(self, path: Key, shown: Key, said: str) -> dict[str, Any]:
        self.problems.append((path, shown, said))
        return {}


def _plain(model: Written) -> dict[str, Any]:
    return model.model_dump(mode="json")


def _dotted(key: Key) -> str:
    """Write a key as a user would: ``training.points[0]``."""
    parts = (f"[{each}]" if isinstance(each, int) else f".{each}" for each in key)
    return "".join(parts).lstrip(".")
