"""Files of source and where the names in them lead; nothing is imported.

Comes in: places, and names as a file uses them. Goes out: the parts that are meant. A name is
followed into the product, into the package of the file itself, and into what lies beside it; what
else is imported is a library, of which the dotted name is all that counts.
"""

from __future__ import annotations

import linecache
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ablation_lab.errors import ConfigurationError
from ablation_lab.study.scopes import Imported, Use
from ablation_lab.study.source import File, Part, taken_apart
from lightning_modules.registry import PRODUCT, ROOT, Place

# A part of a file: the file, and the number of the statement in it.
Position = tuple[Path, int]
SITE = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class Found:
    """What a dotted name means: parts of ours, or nothing but its ``text``.

    ``name`` is what the parts define it as; ``after`` says which of their names it is, where they
    define several, and what is taken of it.
    """

    text: str
    positions: tuple[Position, ...] = ()
    name: str = ""
    after: str = ""

    @property
    def is_of_product(self) -> bool:
        """Whether the product defines it."""
        path = self.positions[0][0]
        return any(path.is_relative_to(folder) for folder in PRODUCT)


class Sources:
    """Reads files of source; ``instead`` holds other texts for some, None for one that is gone."""

    def __init__(self, instead: Mapping[Path, str | None] | None = None) -> None:
        self._instead = dict(instead or {})
        self._files: dict[Path, File] = {}
        self._modules: dict[tuple[Path, Use], Path | None] = {}
        self._effects: dict[Path, tuple[int, ...]] = {}

    def part(self, position: Position) -> Part:
        """Return a statement."""
        return self._file(position[0]).parts[position[1]]

    def at(self, place: Place) -> Iterator[Position]:
        """Yield the statement in a line of a file, or every one of a file without a line."""
        for number, part in enumerate(self._file(place.path).parts):
            if not place.line or part.first <= place.line <= part.last:
                yield place.path, number

    def entry(self, module: str, name: str) -> Iterator[Position]:
        """Yield the parts that define a name of a module of the product.

        Errors: LookupError if it does not: nothing that is said to count may be missing.
        """
        path = self._module(ROOT / "x.py", tuple(module.split(".")))
        if path is None or name not in self._file(path).defining:
            raise LookupError(f"{module}: defines no {name!r}, which is said to train runs")
        yield from ((path, number) for number in self._file(path).defining[name])

    def effects(self, position: Position) -> Iterator[Position]:
        """Yield the statements that change what a part defines, or anything where it stands."""
        path = position[0]
        file = self._file(path)
        if path not in self._effects:
            self._effects[path] = tuple(n for n, p in enumerate(file.parts) if p.is_effect)
        for number in self._effects[path]:
            uses = file.parts[number].reading.uses
            own = {use[0] for use in uses} & file.defining.keys()
            if not own or own & set(self.part(position).names):
                yield path, number

    def resolve(self, path: Path, part: Part, use: Use) -> Found:
        """Return what a dotted name means in a part of a file."""
        file = self._file(path)
        if use[0] in part.reading.imports:
            return self._imported(path, part.reading.imports[use[0]], use[1:])
        if use[0] in file.defining:
            return self._defined(path, use[0], use[1:])
        if use[0] in file.imports:
            return self._imported(path, file.imports[use[0]], use[1:])
        for star in file.stars:
            module = self._module(path, _absolute(path, Imported(star.level, star.module)))
            if module and use[0] in self._file(module).defining:
                return self._defined(module, use[0], use[1:])
        return Found(".".join(use))

    def _imported(self, path: Path, imported: Imported, rest: Use, depth: int = 0) -> Found:
        """Follow an import, and those of the module that it leads to."""
        leads = (*_absolute(path, imported), *rest)
        for length in range(len(leads), 0, -1):
            module = self._module(path, leads[:length])
            if module is None:
                continue
            if length == len(leads):
                # The module itself is handed on: anything in it may be meant.
                every = range(len(self._file(module).parts))
                return Found("", tuple((module, number) for number in every))
            file, name, after = self._file(module), leads[length], leads[length + 1 :]
            if name in file.defining:
                return self._defined(module, name, after)
            if name in file.imports and depth < 10:
                return self._imported(module, file.imports[name], after, depth + 1)
            # A name that a package makes up when it is asked for.
            return Found(".".join(leads[length:]))
        return Found(".".join(leads))

    def _defined(self, path: Path, name: str, rest: Use) -> Found:
        numbers = self._file(path).defining[name]
        which = self._file(path).parts[numbers[0]].names.index(name)
        after = ".".join((f"#{which}" if which else "", *rest))
        positions = tuple((path, number) for number in numbers)
        return Found(".".join((name, *rest)), positions, name, after)

    def _file(self, path: Path) -> File:
        if path not in self._files:
            try:
                self._files[path] = taken_apart(self._text(path))
            except (SyntaxError, UnicodeDecodeError) as error:
                raise ConfigurationError(f"{path}: cannot be read as Python: {error}") from None
        return self._files[path]

    def _text(self, path: Path) -> str:
        """Return the text of a file, or of what a notebook ran under such a name."""
        if path not in self._instead and path.is_file():
            return path.read_text("utf-8")
        lines = linecache.getlines(str(path)) if path not in self._instead else ()
        text = self._instead.get(path) or "".join(lines)
        if not text:
            raise ConfigurationError(
                f"{path}: registers something, and its source cannot be read; expected a file, so "
                "that a run can say by which code it was trained"
            )
        return text

    def _is_file(self, path: Path) -> bool:
        return self._instead[path] is not None if path in self._instead else path.is_file()

    def _module(self, path: Path, module: Use) -> Path | None:
        """Return the file of a module that is followed from a file, None for a library."""
        top, base = _top(path)
        key = base, module
        if key not in self._modules:
            ours = bool(module) and (ROOT / module[0]) in PRODUCT
            # Where packages are installed, every library lies beside the product and the plug-in.
            folders = (
                folder
                for folder in dict.fromkeys((base, ROOT))
                if ours or module[:1] == (top,) or not _is_site(folder)
            )
            found = (self._in(folder, module) for folder in folders)
            self._modules[key] = next((each for each in found if each), None)
        return self._modules[key]

    def _in(self, folder: Path, module: Use) -> Path | None:
        base = folder.joinpath(*module)
        return next(
            (p for p in (base / "__init__.py", base.with_suffix(".py")) if self._is_file(p)), None
        )


def _absolute(path: Path, imported: Imported) -> Use:
    """Return the whole dotted name of an import, relative ones too."""
    named = [*filter(None, imported.module.split(".")), *filter(None, [imported.name])]
    if not imported.level:
        return tuple(named)
    _, base = _top(path)
    package = path.parent.relative_to(base).parts
    return (*package[: len(package) - imported.level + 1], *named)


def _is_site(folder: Path) -> bool:
    return any(part in SITE for part in folder.parts)


@cache
def _top(path: Path) -> tuple[str, Path]:
    """Return the package or module that a file belongs to, and the folder in which that lies."""
    top, folder = path.stem, path.parent
    while (folder / "__init__.py").is_file():
        top, folder = folder.name, folder.parent
    return top, folder
