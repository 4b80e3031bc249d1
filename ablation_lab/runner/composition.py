"""From a command line and YAML files to one configuration: Hydra composes it, and runs nothing.

Comes in: the arguments of a call. Goes out: the composed configuration. Hydra's own settings
(``hydra.…``, which may name code to run) are neither read nor accepted, and every file that it
could find in a folder of the user's has been read as plain data before it starts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import hydra
from omegaconf import DictConfig

from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.study.files import CONF, read_root, read_yaml, refuse_resolvers

# Folders of conf/ of which a call chooses one file, or of the studies several.
CHOICES = ("study", "profile", "engine", "tracking")
# Sections of a run, of which the studies say what is in them, and not a call.
OF_RUNS = ("model", "data")
READ = (*CHOICES, "claims")

HELP = """\
usage: python -m ablation_lab [key=value ...]

Trains the runs of the chosen studies that the store does not have yet, and writes their report.

  study=NAME or [A,B]   what to train (conf/study, or study_dir/study)
  profile=NAME          the budget: {profile}
  engine=NAME           where: {engine}
  study_dir=FOLDER      a folder of your own with study/
  plugins=[PACKAGE]     packages of your own, imported at the start
  dry_run=true          say what would be trained, how, and why, and stop
  now.replicates=N      train only the first replicates now
  now.where.FACTOR=L    train only cells with this level now
  now.minutes=M         hand out no more work after this long
  adopt=true            take over runs of earlier code that come out the same

Any other setting of conf/config.yaml can be given in the same way, such as engine.workers=2.
"""


def compose(arguments: list[str]) -> DictConfig:
    """Return the configuration of a call.

    ``study_dir=PATH`` is a search path, which must be known before composing; ``now.where.NAME``
    adds a key that no file has.

    Errors: ``ConfigurationError``, and Hydra's own.
    """
    for argument in arguments:
        _refuse_argument(argument)
    changed = [re.sub(r"^now\.where\.", "++now.where.", argument) for argument in arguments]
    folders = own_folders(arguments)
    for folder in folders:
        if not Path(folder).is_dir():
            raise ConfigurationError(
                f"study_dir: no folder {folder!r}; expected one that has study/NAME.yaml"
            )
        _refuse_hidden(arguments, Path(folder))
        for path in _yaml_files(Path(folder)):
            read_yaml(path)
    _refuse_no_choice(arguments, folders)
    paths = ",".join(_quoted(f"file://{Path(folder).resolve()}") for folder in folders)
    search = [f"hydra.searchpath=[{paths}]"] if paths else []
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return hydra.compose("config", overrides=[*changed, *search])


def project_plugins() -> list[str]:
    """Return the plug-ins that every call has."""
    return list(read_root(CONF / "config.yaml")["plugins"])


def usage() -> str:
    """Return what ``--help`` says."""
    return HELP.format(profile=", ".join(names("profile")), engine=", ".join(names("engine")))


def own_folders(arguments: list[str]) -> list[str]:
    """Return what the arguments say of ``study_dir``."""
    return [a.partition("=")[2] for a in arguments if a.startswith("study_dir=")]


def names(group: str, folders: Iterable[str | Path] = ()) -> list[str]:
    """Return the names of which a call can choose: the files of a folder of conf/ and like it."""
    places = [CONF, *map(Path, folders)]
    return sorted({path.stem for place in places for path in (place / group).glob("*.yaml")})


@cache
def _options() -> tuple[str, ...]:
    """Return the first words that a key may have: the sections and settings of config.yaml."""
    root = read_root(CONF / "config.yaml")
    return tuple(sorted({*CHOICES, *OF_RUNS, *root} - {"defaults"}))


def _yaml_files(folder: Path) -> list[Path]:
    """Return every file of a user's folder that a call could make Hydra read."""
    groups = [path for group in READ for path in sorted((folder / group).rglob("*.y*ml"))]
    return [*sorted(folder.glob("*.y*ml")), *groups]


def _refuse_argument(argument: str) -> None:
    """Refuse flags, which are Hydra's, and keys that are no setting of the lab."""
    if argument.startswith("-"):
        raise ConfigurationError(
            f"command line: {argument!r}: expected key=value, such as profile=quick, or --help"
        )
    refuse_resolvers(argument, "command line")
    key = argument.lstrip("+~").partition("=")[0].strip()
    word = re.split(r"[.@/\[]", key, maxsplit=1)[0]
    if "=" not in argument and not argument.startswith("~"):
        return  # no setting at all, as Hydra says
    if word not in _options() or re.search(r"[@/]", key):
        raise ConfigurationError(f"command line: unknown key {key!r}; {nearest(word, _options())}")


def _quoted(text: str) -> str:
    """Return a text as Hydra's grammar quotes one, whatever is in it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _refuse_hidden(arguments: list[str], folder: Path) -> None:
    """Refuse an option that Hydra would look up as a file, as ``study_dir`` has such a folder."""
    for key in (argument.partition("=")[0] for argument in arguments):
        if key in ("reports", "plugins", "dry_run", "study_dir") and (folder / key).is_dir():
            raise ConfigurationError(
                f"study_dir: its folder {str(folder / key)!r} hides the option {key!r}; "
                "keep study/ in a folder of its own"
            )


def _refuse_no_choice(arguments: list[str], folders: list[str]) -> None:
    """Refuse a choice of nothing, or of several where one is needed."""
    for argument in arguments:
        key, _, value = argument.lstrip("+").partition("=")
        value = value.strip().strip("'\"")
        if key in OF_RUNS:
            raise ConfigurationError(
                f"command line: {argument!r}: each study says which {key} its runs have; "
                "declare one that says so, and give its folder as study_dir=PATH"
            )
        several = key != "study" and value.startswith("[")
        if key in CHOICES and (value in ("", "null", "None", "[]") or several):
            wanted = "one name or more" if key == "study" else "one name"
            known = ", ".join(names(key, folders))
            raise ConfigurationError(f"{key}: expected {wanted}, found {value!r}; known: {known}")
