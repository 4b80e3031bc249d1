"""What went wrong in code that a user wrote: what was tried, where in the file, what was said.

Comes in: an exception, or the text of its traceback where only that travelled (from a process of a
DataLoader, or from one that crashed). Goes out: one line without the study and the cell, which the
record has; of a run for which a device has no room, with what to do about it.
"""

from __future__ import annotations

import importlib.util
import re
import sysconfig
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

LONGEST = 300  # letters of what an exception says
TRYING = "while "
# A line of a traceback, as Python prints it, in a group of exceptions too, and as its handler of
# crashes does.
FRAME = re.compile(
    r'^[\s|]*File "(?P<file>[^"\n]+)", line (?P<line>\d+)(?:,? in (?P<name>\S+))?', re.MULTILINE
)
CRASH = "most recent call first"
WITHIN = "Original Traceback (most recent call last):"  # of an exception of another process
ROOT = Path(__file__).resolve().parents[2]
LAB = (ROOT / "ablation_lab", ROOT / "lightning_modules")
# What a user's code may raise: SystemExit too, which would end a worker.
RAISED = (Exception, SystemExit)
ADVICE = (
    "give it a smaller training.batch_size or network, a card with more memory, or fewer workers "
    "on each (engine.per_gpu, engine.workers)"
)
# On a CPU torch has no class of its own for it; and of a process of several that train one run only
# the traceback arrives, as text.
OUT_OF_MEMORY = re.compile(r"CUDA out of memory|[^.:]*: you tried to allocate")
# Of what an allocator says, in sentences: how much was asked for, and of how much. It goes on.
SENTENCES = 3


@contextmanager
def trying(what: str) -> Iterator[None]:
    """Have an exception know what was tried; of one within another the innermost is kept."""
    try:
        yield
    except RAISED as error:
        if not _tried(error):
            error.add_note(f"{TRYING}{what}")
        raise


def described(error: BaseException, config: Mapping[str, Any], plugins: Sequence[str]) -> str:
    """Return in one line whose code raised, what was tried, in which line, and what it said."""
    return _line(config, _tried(error), place_of(traced(error), plugins), said(error))


def described_crash(text: str, config: Mapping[str, Any], plugins: Sequence[str], end: str) -> str:
    """Return the same for a worker that was lost; ``end`` says how, ``text`` where, if known."""
    fatal = text.splitlines()[0] if CRASH in text else ""
    return _line(config, "", place_of(text, plugins), f"{fatal}: {end}" if fatal else end)


def said(error: BaseException) -> str:
    """Return an exception's kind and the first line of its message, however odd it is."""
    text = text_of(error)
    if WITHIN in text:
        return text.rstrip().splitlines()[-1][:LONGEST]
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    kind = type(error).__name__
    return f"{kind}: {first}"[:LONGEST] if first else kind


def traced(error: BaseException) -> str:
    """Return the text of an exception's traceback."""
    return "".join(traceback.format_exception(error))


def text_of(error: BaseException) -> str:
    """Return what an exception says; some cannot even be printed."""
    try:
        return str(error)
    except Exception:
        return ""


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that there was not enough memory, of a card or of the machine."""
    import torch

    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or OUT_OF_MEMORY.search(text_of(error)) is not None


def does_not_fit(error: BaseException) -> str:
    """Return the line for a run that one device alone has no room for."""
    text = " ".join(text_of(error).split()) or type(error).__name__
    said = OUT_OF_MEMORY.search(text)
    sentences = re.split(r"(?<=\.) ", text[said.start() :] if said else text)
    found = " ".join(sentences[:SENTENCES]).rstrip(".")
    return f"one run does not fit the memory of its device: {found}; {ADVICE}"


def place_of(text: str, plugins: Sequence[str]) -> str:
    """Return the user's file, line and function nearest to what a traceback ends in, or ''."""
    own = [frame for frame in _frames(text) if _is_own(frame["file"], plugins)]
    if not own:
        return ""
    file, line, name = own[-1]["file"], own[-1]["line"], own[-1]["name"]
    path, here = Path(file), Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    return f"{shown}:{line}{f' in {name}' if name else ''}"


def is_own(error: BaseException, plugins: Sequence[str]) -> bool:
    """Whether a user's own code raised, or had a library raise, and not the lab that it called."""
    frames = _frames(traced(error))
    ours = [f for f in frames if _is_own(f["file"], plugins) or _is_labs(f["file"])]
    return bool(ours) and _is_own(ours[-1]["file"], plugins)


def _line(config: Mapping[str, Any], tried: str, place: str, what: str) -> str:
    if "check" in config:
        whose = f"check {config['check']['name']!r}"
    else:
        whose = f"family {config['model']['family']!r}"
    where = f" ({place})" if place else ""
    return f"{whose}{f', {tried}' if tried else ''}{where}: {what}"


def _tried(error: BaseException) -> str:
    notes = getattr(error, "__notes__", ())
    found = (note for note in notes if isinstance(note, str) and note.startswith(TRYING))
    return next(found, "").removeprefix(TRYING)


def _frames(text: str) -> list[re.Match[str]]:
    """Return the lines of a traceback that name a file, the nearest to the fault last."""
    found = list(FRAME.finditer(text))
    return found[::-1] if CRASH in text else found


def _is_own(file: str, plugins: Sequence[str]) -> bool:
    path = Path(file)
    if any(path.is_relative_to(place) for place in _places(tuple(plugins))):
        return True
    if not path.is_absolute() or _is_labs(file):
        return False
    return not any(path.is_relative_to(place) for place in _libraries())


def _is_labs(file: str) -> bool:
    return any(Path(file).is_relative_to(place) for place in LAB)


@cache
def _libraries() -> tuple[str, ...]:
    """Return the folders of Python and of what is installed, which are nobody's own."""
    paths = sysconfig.get_paths()
    return tuple({paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")})


@cache
def _places(plugins: tuple[str, ...]) -> tuple[str, ...]:
    """Return the folders and files of plug-ins, which may be installed like a library."""
    specs = [importlib.util.find_spec(name) for name in plugins]
    folders = [place for spec in specs if spec for place in spec.submodule_search_locations or ()]
    files = [spec.origin for spec in specs if spec and spec.origin]
    return (*folders, *(file for file in files if not file.endswith("__init__.py")))
