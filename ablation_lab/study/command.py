"""A command as what a run does: its arguments, what they leave open, and the code behind it.

Comes in: the ``run`` section of a study, resolved for a cell. Goes out: the configuration of its
runs, or what is wrong with it. Arguments are a list, which no shell reads; ``${name}`` in one is a
setting, or what the lab gives; ``$${name}`` is left as ``${name}``.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator

from ablation_lab.errors import nearest
from ablation_lab.study.factor import label_of
from ablation_lab.study.reading import Number, Problem, Written

PLACEHOLDER = re.compile(r"\$?\$\{([^{}]*)\}")
GIVEN = ("seed", "replicate", "out", "device", "params")
# Folders in which no code of a project's own lies.
PASSED_OVER = ("runs", "reports", "site-packages", "node_modules", "__pycache__")
SHOWN = 3  # files that are named where there are many


def _text(value: object) -> str:
    if value is None or isinstance(value, list | tuple | dict):
        raise ValueError(f"expected a text, a number or a truth, found {value!r}")
    return label_of(value)


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Argument = Annotated[
    str, BeforeValidator(_text), WithJsonSchema({"type": ["string", "number", "boolean"]})
]
Arguments = Annotated[tuple[Argument, ...], Field(min_length=1)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]
Positive = Annotated[Number, Field(gt=0, allow_inf_nan=False)]


class Limits(Written):
    """What a run may use; it changes no result."""

    section: ClassVar[str] = "limits"

    minutes: Positive | None = Field(
        None, description="Minutes after which it is ended; of what trains, plan says the default."
    )
    memory: Positive | None = Field(
        None, description="GB that its process, or worker, and what that starts may hold; on Linux."
    )
    files: Annotated[Number, Field(ge=0)] = Field(
        100.0, description="MB of what a command or function leaves under ${out} that are kept."
    )


class Command(Written):
    """A process for each run, which leaves named values."""

    section: ClassVar[str] = "run"

    arguments: Arguments = Field(
        alias="command", description="The program and its arguments; ${name} is a setting."
    )
    environment: dict[str, Argument] | None = Field(
        None, description="Variables of its environment."
    )
    folder: str | None = Field(
        None, description="The folder in which it starts, seen from the project."
    )
    setup: tuple[Arguments, ...] | None = Field(
        None, description="Commands that run once, before the first run of a call."
    )
    code: Texts | None = Field(
        None,
        description="Files that determine the result, such as src/**.py; the Python files of the "
        "project where nothing is said.",
    )
    pattern: Texts | None = Field(
        None,
        description="Regular expressions for lines of its output: the name of a group is that of a "
        "metric; groups 'name' and 'value' give both.",
    )

    @field_validator("pattern")
    @classmethod
    def _naming(cls, patterns: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for each in patterns or ():
            try:
                groups = re.compile(each).groupindex.keys() - {"step"}
            except re.error as error:
                raise ValueError(f"{each!r} is no regular expression: {error}") from None
            if not groups or ("name" in groups) != ("value" in groups):
                raise ValueError(
                    f"expected a group for each metric, such as (?P<accuracy>[0-9.]+), or the two "
                    f"groups 'name' and 'value', found {each!r}"
                )
        return patterns

    def texts(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield every text in which a placeholder may stand, with its key in the file."""
        yield from ((("command", n), each) for n, each in enumerate(self.arguments))
        yield from ((("environment", k), each) for k, each in (self.environment or {}).items())

    def open(self, params: Mapping[str, Any]) -> Iterator[Problem]:
        """Yield placeholders that nothing fills, and settings that fill none."""
        used = set()
        for place, text in self.texts():
            for name in placeholders(text):
                used.add(name)
                if name not in (*params, *GIVEN):
                    yield place, f"unknown placeholder ${{{name}}}; {nearest(name, _known(params))}"
        for name in params:
            if name in GIVEN:
                yield ("params", name), f"${{{name}}} is given by the lab; call it otherwise"
            elif not used & {name, "params"}:
                said = (
                    f"no placeholder ${{{name}}} in the command, and no ${{params}}, so that it "
                    "would change nothing; use it, or leave it out"
                )
                yield ("params", name), said


def with_code(
    command: Command, params: Mapping[str, Any], project: Path
) -> tuple[dict[str, Any], list[Problem]]:
    """Return the configuration of a command with the sum of its code, and what is wrong with it."""
    resolved, problems = command.model_dump(mode="json"), list(command.open(params))
    try:
        resolved["digest"] = code_of(resolved, project).digest
    except ValueError as error:
        problems.append((("code",), str(error)))
    return resolved, problems


def _known(params: Mapping[str, Any]) -> tuple[str, ...]:
    return (*params, *GIVEN)


def placeholders(text: str) -> list[str]:
    """Return the names that a text leaves open."""
    return [each[1] for each in PLACEHOLDER.finditer(text) if not each[0].startswith("$$")]


def filled(text: str, values: Mapping[str, Any]) -> str:
    """Return a text with values for its placeholders: texts as they are, all else as JSON."""

    def value(found: re.Match[str]) -> str:
        if found[0].startswith("$$"):
            return found[0][1:]
        given = values[found[1]]
        return given if isinstance(given, str) else json.dumps(given)

    return PLACEHOLDER.sub(value, text)


@dataclass(frozen=True)
class Code:
    """The files that a command stands on, how they were found, and a sum of what they say."""

    files: tuple[str, ...]
    found: str
    digest: str

    def __str__(self) -> str:
        """How many there are, and the first of them."""
        if not self.files:
            return f"no file ({self.found})"
        more = len(self.files) - SHOWN
        first = ", ".join(self.files[:SHOWN])
        return f"{first}{f' and {more} more' if more > 0 else ''} ({self.found})"


def code_of(command: Mapping[str, Any], folder: Path) -> Code:
    """Return the code of a resolved command of the project in a folder.

    The files that its arguments name belong to it. Errors: ValueError for a pattern without a file.
    """
    start = command.get("folder") or ""
    named = tuple(Path(start, each).as_posix() for each in command["arguments"])
    return _code(folder, tuple(command.get("code") or ()), named)


@lru_cache
def _code(folder: Path, patterns: tuple[str, ...], named: tuple[str, ...]) -> Code:
    own = {each for each in named if _is_of(folder, each)}
    if patterns:
        files, found = set(_matching(folder, patterns)), "as declared"
    else:
        tracked = _tracked(folder)
        files = set(_every(folder) if tracked is None else tracked)
        found = "every Python file" if tracked is None else "every Python file of git"
    listed = tuple(sorted(files | own))
    digest = hashlib.sha256()
    for each in listed:
        content = hashlib.sha256((folder / each).read_bytes()).hexdigest()
        digest.update(f"{each}\n{content}\n".encode())
    return Code(listed, found, digest.hexdigest()[:16])


def _is_of(folder: Path, name: str) -> bool:
    """Say whether an argument names a file of the project; programs elsewhere are none of it."""
    path = folder / name
    try:
        return path.is_file() and path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):  # no name of a file: too long, or with a zero in it
        return False


def _matching(folder: Path, patterns: Iterable[str]) -> Iterator[str]:
    for pattern in patterns:
        found = [p for p in folder.glob(re.sub(r"\*\*(?=[^/])", "**/*", pattern)) if p.is_file()]
        if not found:
            raise ValueError(f"{pattern!r}: no such file in {folder.resolve()}")
        yield from (path.relative_to(folder).as_posix() for path in found)


def _tracked(folder: Path) -> list[str] | None:
    """Return the Python files of a project that git knows; None without git."""
    command = ["git", "-C", str(folder), "ls-files", "-z", "--", "*.py"]
    try:
        answer = subprocess.run(command, capture_output=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if answer.returncode or not answer.stdout:
        return None
    names = answer.stdout.decode(errors="surrogateescape").split("\0")
    return [name for name in names if name and (folder / name).is_file()]


def _every(folder: Path) -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in PASSED_OVER or path.is_symlink():
            continue
        if path.is_dir() and not (path / "pyvenv.cfg").exists():
            yield from (f"{path.name}/{each}" for each in _every(path))
        elif path.suffix == ".py":
            yield path.name
