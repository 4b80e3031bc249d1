"""What users type in, what Hydra understands out; what Hydra would only trip over is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from experiments.declaration.configuration import CONF
from experiments.errors import ConfigurationError

# Folders of conf/ of which a call chooses one file, or of the studies several.
CHOICES = ("study", "profile", "engine", "tracking")
# Folders of conf/ of which the studies choose.
PRESETS = ("model", "data")


def prepared(arguments: list[str]) -> list[str]:
    """Say in Hydra's words what users say more simply.

    ``study_dir=PATH`` is a search path, which must be known before composing; ``now.where.NAME``
    adds a key that no file has.

    Errors: ``ConfigurationError``.
    """
    changed = [re.sub(r"^now\.where\.", "++now.where.", argument) for argument in arguments]
    folders = own_folders(arguments)
    for folder in folders:
        if not Path(folder).is_dir():
            raise ConfigurationError(
                f"study_dir: no folder {folder!r}; expected one that has study/NAME.yaml"
            )
        _refuse_hidden(arguments, Path(folder))
    _refuse_no_choice(arguments, folders)
    paths = ",".join(f"file://{Path(folder).resolve()}" for folder in folders)
    return [*changed, f"hydra.searchpath=[{paths}]"] if paths else changed


def own_folders(arguments: list[str]) -> list[str]:
    """Return what the arguments say of ``study_dir``."""
    return [a.partition("=")[2] for a in arguments if a.startswith("study_dir=")]


def names(group: str, folders: Iterable[str | Path] = ()) -> list[str]:
    """Return the names of which a call can choose: the files of a folder of conf/ and like it."""
    places = [CONF, *map(Path, folders)]
    return sorted({path.stem for place in places for path in (place / group).glob("*.yaml")})


def _refuse_hidden(arguments: list[str], folder: Path) -> None:
    """Refuse an option that Hydra would look up as a file, as ``study_dir`` has such a folder."""
    for key in (argument.partition("=")[0] for argument in arguments):
        if key in ("reports", "plugins", "dry_run", "study_dir") and (folder / key).is_dir():
            raise ConfigurationError(
                f"study_dir: its folder {str(folder / key)!r} hides the option {key!r}; "
                "keep study/, model/ and data/ in a folder of their own"
            )


def _refuse_no_choice(arguments: list[str], folders: list[str]) -> None:
    """Refuse a choice of nothing, or of several where one is needed."""
    for argument in arguments:
        key, _, value = argument.lstrip("+").partition("=")
        value = value.strip().strip("'\"")
        if key in PRESETS:
            raise ConfigurationError(
                f"command line: {argument!r}: each study says which {key} its runs have; "
                "declare one that says so, and give its folder as study_dir=PATH"
            )
        several = key != "study" and value.startswith("[")
        if key in CHOICES and (value in ("", "null", "None", "[]") or several):
            wanted = "one name or more" if key == "study" else "one name"
            known = ", ".join(names(key, folders))
            raise ConfigurationError(f"{key}: expected {wanted}, found {value!r}; known: {known}")
