"""``ablation new NAME``: a project to begin with, in which ``ablation run`` works at once.

Comes in: a name and the folder in which it shall lie. Goes out: the files of the project, copied
from ``ablation_lab/templates/project`` with the name in them.
"""

from __future__ import annotations

import json
import keyword
from importlib.util import find_spec
from pathlib import Path

from ablation_lab.errors import ConfigurationError
from ablation_lab.study.project import CONF
from ablation_lab.study.reference import json_schema

TEMPLATE = Path(__file__).resolve().parents[1] / "templates" / "project"
PLACEHOLDER = "NAME"
SCHEMA = "study.schema.json"  # which editors read, by the first line of the study
HIDDEN = {"gitignore": ".gitignore"}  # packages leave out files that begin with a dot


def write_project(name: str, folder: Path) -> list[str]:
    """Write the project ``folder/name``; return lines that say what to do next.

    Errors: ``ConfigurationError`` for a name that no Python file can have, that an installed
    package has, or whose folder is not empty; then nothing is written.
    """
    _validate(name)
    target = folder / name
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigurationError(f"new: {target}: expected no such folder, or an empty one")
    written = []
    for path in sorted(TEMPLATE.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            relative = str(path.relative_to(TEMPLATE)).replace(PLACEHOLDER, name)
            place = target / HIDDEN.get(relative, relative)
            place.parent.mkdir(parents=True, exist_ok=True)
            text = path.read_text(encoding="utf-8").replace(PLACEHOLDER, name)
            place.write_text(text, encoding="utf-8")
            written.append(f"  {place.relative_to(folder)}")
    schema = target / CONF / SCHEMA
    schema.write_text(json.dumps(json_schema(), indent=1), encoding="utf-8")
    written.append(f"  {schema.relative_to(folder)}")
    return ["written:", *written, f"next: cd {name} && ablation plan && ablation run"]


def _validate(name: str) -> None:
    if not name.isidentifier() or keyword.iskeyword(name) or name == PLACEHOLDER:
        raise ConfigurationError(
            f"new: {name!r}: expected a name that a Python file can have, such as demo"
        )
    spec = find_spec(name)
    if spec is not None and spec.origin is not None:  # a mere folder has no origin
        raise ConfigurationError(
            f"new: {name!r}: a package of this name can be imported already; choose another name"
        )
