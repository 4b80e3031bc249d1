"""From a command line and YAML files to one configuration: Hydra composes it, and runs nothing.

Comes in: a project and the settings of a call. Goes out: the composed configuration, the lab's own
``conf/`` under the project's ``conf/config.yaml`` under the command line. Hydra's own settings
(``hydra.…``, which may name code to run) are neither read nor accepted, and every file that it
could find in the project has been read as plain data before it starts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ablation_lab.errors import ConfigurationError, StoreError, nearest
from ablation_lab.study.files import (
    DEEPEST,
    PRODUCT,
    YAML_LOADER,
    files_of,
    flat,
    read_root,
    read_study,
    read_yaml,
    refuse_resolvers,
)
from ablation_lab.study.project import SETTINGS, Project, open_project
from ablation_lab.study.settings import SECTIONS
from lightning_modules.registry import UnknownName

# Folders of conf/ of which a call chooses one file, or of the studies several.
ONE_OF = ("engine", "tracking")
CHOICES = ("study", *ONE_OF)
# Settings that are paths or addresses, in which Hydra's grammar has no say.
PLACES = (
    "data.root",
    "engine.folder",
    "reports",
    "tracking.artifacts",
    "tracking.queue",
    "tracking.uri",
)
LONGEST = 10_000  # letters of a setting that is typed
# What stands before the name of a factor.
WHERE = "now.where."
# Settings that the composition takes care of by itself.
OWN = ("study", "plugins")
# Settings of earlier versions, and what does the same now.
GONE = {"adopt": "`ablation rekey` does so now", "dry_run": "`ablation plan` does so now"}


def compose(project: Project, arguments: Sequence[str]) -> DictConfig:
    """Return the configuration of a call.

    ``study=…`` chooses files of the project; settings of runs, such as ``training.epochs=3``, stand
    under ``overrides``; ``now.where.NAME`` adds a key that no file has.

    Errors: ``ConfigurationError``, and Hydra's own.
    """
    words = [word for word in arguments if not word.lstrip("+").startswith("plugins=")]
    for word in words:
        _validate(word)
    where = dict(_restriction(word) for word in words if _key(word).startswith(WHERE))
    arguments = [word for word in words if not _key(word).startswith(WHERE)]
    for path in _yaml_files(project.conf):
        read_yaml(path)
    _refuse_two_of_one_name(project)
    _refuse_no_choice(arguments, project)
    beside = {path.stem: _read_beside(path, project) for path in project.beside}
    chosen = {_key(argument) for argument in arguments}
    studies = [] if "study" in chosen or beside else [f"+study={_written(list(project.studies))}"]
    search = f"hydra.searchpath=[{_quoted(f'file://{project.conf.resolve()}')}]"
    overrides = [*_of_project(project, chosen), *studies, *map(_in_hydras_words, arguments), search]
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(PRODUCT)):
        config = _composed(overrides, arguments)
    OmegaConf.update(config, "study", beside, force_add=True)
    OmegaConf.update(config, "now.where", where, force_add=True)
    return config


def _composed(overrides: list[str], typed: Sequence[str]) -> DictConfig:
    """Have Hydra compose; what it did not expect to be typed it says in many ways."""
    try:
        return hydra.compose("config", overrides=overrides)
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        if is_refusal(error):
            raise
        said = " ".join(str(error).split()) or type(error).__name__
        raise ConfigurationError(f"command line: {' '.join(typed)}: {said}") from None


def _read_beside(path: Path, project: Project) -> Any:
    """Read a study that lies elsewhere, and has a name of its own."""
    if not path.is_file():
        raise ConfigurationError(f"study: no file {path}")
    known = files_of("study", [project.conf]).get(path.stem, path)
    if not project.replaced and not known.samefile(path):
        raise ConfigurationError(
            f"{path}: study {path.stem!r} stands in {known} as well; rename it"
        )
    return read_study(path)


def names(group: str, project: Project) -> list[str]:
    """Return the names of which a call can choose: the files of a folder of conf/."""
    return sorted(files_of(group, [PRODUCT, project.conf]))


@cache
def options() -> tuple[str, ...]:
    """Return the first words that a setting may have."""
    root = set(read_root(PRODUCT / "config.yaml")) - {"defaults", "overrides"}
    return tuple(sorted({*CHOICES, *OWN, *SECTIONS, *root}))


def _yaml_files(conf: Path) -> list[Path]:
    """Return every file of a project that a call could make Hydra read."""
    return sorted(path for path in conf.rglob("*.y*ml") if path.is_file())


def _key(argument: str) -> str:
    return argument.lstrip("+~").partition("=")[0].strip()


def _validate(argument: str) -> None:
    """Refuse keys that are no setting of the lab, and what Hydra would read for hours."""
    if len(argument) > LONGEST or _depth(argument) > DEEPEST:
        raise ConfigurationError(
            f"command line: {argument[:40]!r}…: expected at most {LONGEST:,} letters, and lists at "
            f"most {DEEPEST} deep; write it into a file"
        )
    refuse_resolvers(argument, "command line")
    if "=" not in argument and not argument.startswith("~"):
        raise ConfigurationError(
            f"command line: {argument!r}: expected key=value, such as profile=quick"
        )
    key = _key(argument)
    word = re.split(r"[.@/\[]", key, maxsplit=1)[0]
    if word not in options() or (re.search(r"[@/]", key) and not key.startswith(WHERE)):
        instead = GONE.get(word) or nearest(word, options())
        raise ConfigurationError(f"command line: unknown key {key!r}; {instead}")
    if key in SECTIONS:
        raise ConfigurationError(
            f"command line: {argument!r}: expected one setting, such as training.epochs=3; each "
            f"study says which {key} its runs have"
        )


def _depth(text: str) -> int:
    """Return how many brackets are open within one another at most."""
    steps = (1 if letter in "[{(" else -(letter in "]})") for letter in text)
    return max(accumulate(steps), default=0)


def _in_hydras_words(argument: str) -> str:
    """Return what a user types in as Hydra understands it."""
    key = _key(argument)
    value = argument.partition("=")[2]
    if key == "study":
        return f"+study={_written(_names(value))}"
    if key in PLACES and value not in ("", "null") and value[0] not in "'\"":
        return f"{argument.partition('=')[0]}={_quoted(value)}"
    if key.partition(".")[0] in SECTIONS and key != "data.root":
        return f"++overrides.{argument.lstrip('+')}"
    return argument


def _names(value: str) -> list[str]:
    """Return the studies that are named: one, or several in brackets; no name has a comma."""
    return [each.strip().strip("'\"") for each in value.strip().strip("[]").split(",")]


def _restriction(argument: str) -> tuple[str, Any]:
    """Return a factor and its levels, which are written as in a file: any text names one."""
    factor, _, levels = argument.lstrip("+").removeprefix(WHERE).partition("=")
    try:
        return factor.strip(), yaml.load(levels, Loader=YAML_LOADER)
    except yaml.YAMLError:
        return factor.strip(), levels


def _of_project(project: Project, chosen: set[str]) -> Iterator[str]:
    """Yield what the project's config.yaml sets, but for what the call chooses itself."""
    place = project.conf / SETTINGS
    for key, value in project.settings.items():
        if key not in options() or (key in SECTIONS and key != "data"):
            raise ConfigurationError(f"{place}: unknown key {key!r}; {nearest(key, options())}")
        settings = dict(value) if isinstance(value, Mapping) else {}
        if key in ONE_OF:
            name = settings.pop("name", None) if settings else value
            if name is not None and key not in chosen:
                yield f"{key}={_quoted(str(name))}"
        if settings:
            yield from (f"++{name}={_written(each)}" for name, each in flat(settings, f"{key}."))
        elif key not in (*OWN, *ONE_OF):
            yield f"++{key}={_written(value)}"


def _written(value: Any) -> str:
    """Return a value as Hydra's grammar writes it."""
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    return json.dumps(value)


def _quoted(text: str) -> str:
    """Return a text as Hydra's grammar quotes one: a backslash is doubled only before a quote."""
    escaped = re.sub(r"(\\*)(?:(')|$)", lambda end: 2 * end[1] + ("\\'" if end[2] else ""), text)
    return f"'{escaped}'"


def _refuse_two_of_one_name(project: Project) -> None:
    """Refuse an engine or a tracking of the project's that is called like one of the lab's."""
    for group in ONE_OF:
        ours = files_of(group, [PRODUCT])
        for name, path in files_of(group, [project.conf]).items():
            if name in ours:
                raise ConfigurationError(
                    f"{path}: {group} {name!r} stands in {ours[name]} as well; rename yours"
                )


def _refuse_no_choice(arguments: Sequence[str], project: Project) -> None:
    """Refuse a choice of nothing, or of several where one is needed."""
    if not project.studies:
        raise ConfigurationError(f"{project.conf / 'study'}: no study; expected a file NAME.yaml")
    for argument in arguments:
        key, value = _key(argument), argument.partition("=")[2].strip().strip("'\"")
        several = key != "study" and value.startswith("[")
        if key in CHOICES and (value in ("", "null", "None", "[]") or several):
            wanted = "one name or more" if key == "study" else "one name"
            known = ", ".join(names(key, project))
            raise ConfigurationError(f"{key}: expected {wanted}, found {value!r}; known: {known}")


def is_refusal(error: Exception) -> bool:
    """Whether a user can mend it; anything else is a defect of the lab and keeps its traceback."""
    from yaml import YAMLError

    from ablation_lab.data import DataError

    ours = (ConfigurationError, DataError, StoreError, UnknownName)
    return isinstance(error, (*ours, HydraException, OmegaConfBaseException, YAMLError))


def mendable(error: Exception) -> str:
    """Return the line for an error that a user can mend, '' for any other."""
    return line_of(error) if is_refusal(error) else ""


def line_of(error: Exception) -> str:
    """Say in one line what is wrong, also where Hydra, OmegaConf or YAML use several."""
    cause = error.__cause__
    match error:
        case MissingConfigException(missing_cfg_file=str(file)):
            group, _, name = file.rpartition("/")
            return f"{group}: unknown name {name!r}; {nearest(name, _known(group))}"
        case OverrideParseException():
            typed = str(error.override).lstrip("+")
            return f"command line: {typed!r}: expected key=value, such as profile=quick"
        case HydraException() if isinstance(cause, OmegaConfBaseException):
            return _unknown_key(cause)
        case UnknownName():
            return f"{error}; what a package of your own registers needs plugins=[package]"
        case OmegaConfBaseException(full_key=str(key)):
            return f"{key}: {str(error).splitlines()[0]}"
    return " ".join(str(error).split())


def _known(group: str) -> list[str]:
    """Return what could be chosen; the project was entered before Hydra missed anything."""
    return names(group, open_project(Path.cwd()))


def _unknown_key(error: Exception) -> str:
    full_key, key = getattr(error, "full_key", None), getattr(error, "key", None)
    known = [str(name) for name in getattr(error, "parent_node", None) or []]
    return f"command line: unknown key {str(full_key or key)!r}; {nearest(key, known)}"
