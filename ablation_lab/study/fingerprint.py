"""The fingerprint of the code that gives a run its result, without importing it.

Comes in: what a run uses: names of registered things, each in its role, and functions of a trainer.
Goes out: a hash of the statements that these are, and of all that they use, wherever they stand: in
the product, in a plug-in, in its other modules. It does not say in which files they stand, what
they are called, nor how they are imported; of a library it has the names that are taken from it.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from ablation_lab.data import DATASETS, Dataset, checksum
from ablation_lab.study.scopes import Call
from ablation_lab.study.sources import Found, Position, Sources
from lightning_modules.registry import ROLES, Place, Registry

# Defined by the product, and no code that computes a result: they carry it, look it up by a name
# that counts by itself, bring data whose content has a sum, or say what is wrong.
CARRIERS = frozenset(
    {
        *("Run", "Stack", "Training", "TrainerName", "Combination"),
        *("Record", "Status", "NoConvergence", "Probed"),
        *("Dataset", "Part", "TrainingData", "DataFile", "Alternative", "Loaders"),
        *("DATASETS", "load", "load_loaders", "checksum", "verified_sources"),
        *("Registry", "build_family", "unknown"),
        *("UnknownName", "DataError", "ConfigurationError"),
    }
)
PLAIN = (str, int, float, bool, bytes, type(None))
HOLE = re.compile(r"⟦(\d+)⟧")
# A registered thing by the word of its role and its name.
Choice = tuple[str, str]


class Code:
    """The statements that things are made of, as hashes; what was looked at is kept."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self._found: dict[Position, tuple[Found, ...]] = {}
        self._plain: dict[Position, str] = {}
        self._lines: dict[Position, str] = {}
        self._choices: dict[Position, tuple[Choice, ...]] = {}

    def lines(self, choices: Iterable[Choice], entries: Iterable[tuple[str, str]]) -> set[str]:
        """Return a hash for each statement that the choices, and entries by module, reach."""
        lines: set[str] = set()
        chosen, waiting = deque(choices), deque[Position]()
        for module, name in entries:
            waiting.extend(self.sources.entry(module, name))
        seen: set[Position] = set()
        known: set[Choice] = set()
        while chosen or waiting:
            if chosen:
                choice = chosen.pop()
                if choice not in known:
                    known.add(choice)
                    places, texts = _code_of(ROLES[choice[0]], choice[1])
                    lines |= {"\n".join(texts)}
                    for place in places:
                        waiting.extend(self.sources.at(place))
                continue
            position = waiting.pop()
            if position not in seen:
                seen.add(position)
                lines.add(self._line(position))
                waiting.extend(self._used(position))
                waiting.extend(self.sources.effects(position))
                chosen.extend(self._named(position))
        return lines

    def strings(self, choice: Choice) -> frozenset[str]:
        """Return the texts in what is registered: the function itself, or those that are named."""
        places, _ = _code_of(ROLES[choice[0]], choice[1])
        stated = [position for place in places for position in self.sources.at(place)]
        calls = [position for position in stated if not self.sources.part(position).names]
        named = [position for each in calls for position in self._used(each)]
        return frozenset(
            text
            for position in (named or stated)
            for text in self.sources.part(position).reading.strings
        )

    def defaults(self, choice: Choice) -> dict[str, str]:
        """Return parameter -> name for the parameters of a registered thing that name another."""
        places, _ = _code_of(ROLES[choice[0]], choice[1])
        found: dict[str, str] = {}
        for place in places:
            for position in self.sources.at(place):
                found |= self.sources.part(position).signature.defaults
        return found

    def _uses(self, position: Position) -> tuple[Found, ...]:
        """Return what belongs into the holes of a part."""
        if position not in self._found:
            part = self.sources.part(position)
            self._found[position] = tuple(
                self.sources.resolve(position[0], part, use) for use in part.reading.uses
            )
        return self._found[position]

    def _used(self, position: Position) -> Iterator[Position]:
        for found in self._uses(position):
            if not self._is_carrier(found):
                yield from found.positions

    def _is_carrier(self, found: Found) -> bool:
        return bool(found.name) and (
            (found.is_of_product and found.name in CARRIERS)
            or self.sources.part(found.positions[0]).is_registry
        )

    def _line(self, position: Position) -> str:
        """Hash a part, each of its holes filled with a hash of what is meant there."""
        if position not in self._lines:
            meant = [self._meaning(found, position) for found in self._uses(position)]
            text = self.sources.part(position).reading.text
            self._lines[position] = _hash(HOLE.sub(lambda hole: meant[int(hole[1])], text))
        return self._lines[position]

    def _meaning(self, found: Found, position: Position) -> str:
        if not found.positions or self._is_carrier(found):
            return found.text
        if found.positions == (position,):
            return f"itself{found.after}"
        return "+".join(self._by_itself(each) for each in found.positions) + found.after

    def _by_itself(self, position: Position) -> str:
        """Hash a part without looking at which of our own parts it uses."""
        if position not in self._plain:
            uses = self._uses(position)
            plain = ["…" if u.positions and not self._is_carrier(u) else u.text for u in uses]
            text = self.sources.part(position).reading.text
            self._plain[position] = _hash(HOLE.sub(lambda hole: plain[int(hole[1])], text))
        return self._plain[position]

    def _named(self, position: Position) -> tuple[Choice, ...]:
        """Return the registered things that a part names itself: ``MLP(…, init="zeros")``."""
        if position not in self._choices:
            uses = self._uses(position)
            calls = self.sources.part(position).reading.calls
            given = (
                (parameter.rpartition("_")[2], name)
                for call in calls
                for parameter, name in self._arguments(
                    call, None if call.hole is None else uses[call.hole]
                )
            )
            self._choices[position] = tuple(each for each in given if is_known(each))
        return self._choices[position]

    def _arguments(self, call: Call, called: Found | None) -> Iterator[tuple[str, str]]:
        """Yield (parameter, text) for the texts that a call gives, or leaves at their default."""
        yield from call.keywords
        if called is None:
            return
        registries = [r for r in ROLES.items() if called.name == r[1].variable]
        if registries and called.text.endswith(".get"):
            yield from ((registries[0][0], name) for number, name in call.positional if not number)
        for position in () if self._is_carrier(called) else called.positions:
            signature = self.sources.part(position).signature
            for number, name in call.positional:
                if number < len(signature.positional):
                    yield signature.positional[number], name
            given = {*signature.positional[: call.count], *(call.given or ())}
            for parameter, name in signature.defaults.items():
                if call.given is not None and parameter not in given:
                    yield parameter, name


def is_known(choice: Choice) -> bool:
    """Say whether something is registered in this role under this name."""
    return choice[0] in ROLES and choice[1] in ROLES[choice[0]].names()


@cache
def code() -> Code:
    """Return the code as it lies on the disk when it is first asked for."""
    return Code(Sources())


@cache
def fingerprint(choices: frozenset[Choice], entries: frozenset[tuple[str, str]]) -> str:
    """Return the fingerprint of registered things, by word and name, and of entries by module."""
    return _hash("\n".join(sorted(code().lines(choices, entries))))


def _code_of(registry: Registry[Any], name: str) -> tuple[tuple[Place, ...], tuple[str, ...]]:
    """Return where the code of a registered thing stands, and what else determines it.

    Of a data set it is its sum, and the function that reads it where no sum of the content is
    declared: what a description says, or where a copy lies, is nothing to a run.
    Errors: UnknownName.
    """
    if registry is DATASETS and isinstance(dataset := DATASETS.get(name), Dataset):
        told = f"{dataset.examples} {dataset.targets} {dataset.test_is_train}"
        if dataset.embedded and not dataset.loaders:
            return (), (checksum(name), told)
        filled_in = _texts_of_reader(dataset.read)
        return tuple(_places_of_reader(dataset.read)), (checksum(name), told, *filled_in)
    return registry.places(name), ()


def _places_of_reader(read: Callable[..., Any]) -> Iterator[Place]:
    """Yield where the functions stand of which one that reads a data set is made."""
    for each in _pieces(read):
        place = _place(each)
        if place:
            yield place


def _texts_of_reader(read: Callable[..., Any]) -> Iterator[str]:
    """Yield the plain values that a reader has filled in."""
    for each in _pieces(read):
        if isinstance(each, PLAIN):
            yield repr(each)


def _pieces(value: Any) -> Iterator[Any]:
    """Yield a function or value, and all that is filled into it, in a fixed order."""
    if isinstance(value, partial):
        yield from _pieces(value.func)
        yield from _pieces(value.args)
        yield from _pieces(value.keywords)
    elif isinstance(value, tuple | list):
        for entry in value:
            yield from _pieces(entry)
    elif isinstance(value, dict):
        for key in sorted(value, key=repr):
            yield from _pieces((key, value[key]))
    elif callable(value) and inspect.unwrap(value) is not value:
        yield value
        yield from _pieces(inspect.unwrap(value))
    else:
        yield value
        for cell in getattr(value, "__closure__", None) or ():
            yield from _pieces(cell.cell_contents)


def _place(value: Any) -> Place | None:
    code = getattr(value, "__code__", None)
    if code is not None:
        return Place(Path(code.co_filename).resolve(), code.co_firstlineno)
    if isinstance(value, PLAIN) or inspect.isbuiltin(value):
        return None
    # An object that can be called: what it does stands in its class.
    kind = value if isinstance(value, type) else type(value)
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return Place(Path(file).resolve()) if file and callable(value) else None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
