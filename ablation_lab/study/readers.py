"""The code of a function that reads a data set, which may be partly filled in.

Comes in: the function as it is registered. Goes out: where it is written, and what was filled in.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from lightning_modules.registry import Place

PLAIN = (str, int, float, bool, bytes, type(None))


def places_of_reader(read: Callable[..., Any]) -> Iterator[Place]:
    """Yield where the functions stand of which a reader is made."""
    for each in _pieces(read):
        place = _place(each)
        if place:
            yield place


def texts_of_reader(read: Callable[..., Any]) -> Iterator[str]:
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
