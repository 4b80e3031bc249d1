"""What a study promised before it was run: sealed once, every later change with its date. Pure.

Comes in: what was declared of one study under one profile, each time with when, at which commit and
after how many finished runs. Goes out: the first of them as the seal, the later ones as amendments
that say what they changed. An entry is named by the hash of its terms and of the entry before it:
two runners that declare the same at once write the same entry, and one that is changed afterwards
no longer has its name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, ConfigDict

# What a declaration says of where it comes from and how it looks, not of what will count.
OPEN = (
    "study", "profile", "title", "source", "setup", "layout", "needs", "cells", "provenance",
    "data",
)  # fmt: skip
WORDS_ALONE = ("about", "note", "label", "source", "text", "words", "yes_if")
NAMES = ("name", "cell", "claim_id")
NONE = "none"
MOST_CHANGES = 6


class Entry(BaseModel):
    """The terms of a study from a moment on; ``finished`` runs had been seen by then.

    ``time`` is that of UTC, as ISO 8601 writes it; ``previous`` the digest of the entry before.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    terms: dict[str, str]
    time: str
    commit: str
    finished: int
    previous: str = ""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the terms and of the entry before."""
        text = json.dumps([self.previous, self.terms], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def moment(self) -> str:
        """The time to the minute, as a report prints it."""
        return f"{self.time[:16].replace('T', ' ')} UTC"

    @property
    def seen(self) -> str:
        """How much had been seen by then, in words."""
        if not self.finished:
            return "before any run had finished"
        return f"after {self.finished} run{'s' if self.finished > 1 else ''} had finished"


@dataclass(frozen=True)
class Change:
    """One term that became another one; ``NONE`` where there was, or is, nothing."""

    term: str
    before: str
    now: str

    def __str__(self) -> str:
        """Say it in a few words."""
        return f"{self.term} from {self.before} to {self.now}"


@dataclass(frozen=True)
class Amendment:
    """An entry after the seal, and what it changed."""

    entry: Entry
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        """Say it in one sentence."""
        shown = "; ".join(map(str, self.changes[:MOST_CHANGES]))
        more = len(self.changes) - MOST_CHANGES
        rest = f"; and {more} more" if more > 0 else ""
        return f"Amended on {self.entry.moment}, {self.entry.seen}: {shown}{rest}."


@dataclass(frozen=True)
class Protocol:
    """The seal of a study and its amendments; ``intact`` if no entry was changed afterwards."""

    seal: Entry
    amendments: tuple[Amendment, ...] = ()
    intact: bool = True

    @property
    def sentences(self) -> tuple[str, ...]:
        """The seal and every amendment as a report prints them."""
        seal = self.seal
        what = "question, comparisons, baseline, rules, bands, tolerances and replicates were "
        where = f"on {seal.moment} (sha256 {seal.digest[:12]}, commit {seal.commit}), {seal.seen}"
        if not self.intact:
            said = f"{what}sealed {where}, but an entry of the protocol was changed afterwards."
        elif seal.finished:
            said = f"{what}not fixed beforehand: they were sealed {where}."
        else:
            said = f"{what}fixed beforehand: sealed {where}."
        return (f"{said[0].upper()}{said[1:]}", *map(str, self.amendments))


def terms_of(declaration: Mapping[str, Any]) -> dict[str, str]:
    """Return what a declaration promises, flat: dotted name -> text; what is empty is left out."""
    promised = {name: value for name, value in declaration.items() if name not in OPEN}
    return dict(_flat(promised, ""))


def next_entry(
    entries: Iterable[Entry],
    declaration: Mapping[str, Any],
    *,
    time: str,
    finished: Callable[[], int],
) -> Entry | None:
    """Return the entry that a declaration adds; None if the last one says the same."""
    known, terms = ordered(entries), terms_of(declaration)
    if known and known[-1].terms == terms:
        return None
    return Entry(
        terms=terms,
        time=time,
        commit=str(declaration.get("provenance", {}).get("commit", "unknown")),
        finished=finished(),
        previous=known[-1].digest if known else "",
    )


def protocol_of(entries: Iterable[Entry], *, intact: bool = True) -> Protocol | None:
    """Return the protocol that these entries make; None without any."""
    known = ordered(entries)
    if not known:
        return None
    amendments = tuple(
        Amendment(now, _changes(before.terms, now.terms)) for before, now in pairwise(known)
    )
    return Protocol(known[0], amendments, intact)


def ordered(entries: Iterable[Entry]) -> Sequence[Entry]:
    """Return entries each after the one that it follows; of several that follow one, by time."""
    known = {entry.digest: entry for entry in entries}

    def place(entry: Entry) -> tuple[int, str, str]:
        depth, before = 0, entry
        while before.previous in known:
            depth, before = depth + 1, known[before.previous]
        return depth, entry.time, entry.digest

    return sorted(known.values(), key=place)


def _changes(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[Change, ...]:
    return tuple(
        Change(term, before.get(term, NONE), now.get(term, NONE))
        for term in sorted({*before, *now})
        if before.get(term) != now.get(term)
    )


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            if key not in WORDS_ALONE:
                yield from _flat(each, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple) and any(isinstance(each, Mapping) for each in value):
        for index, each in enumerate(value):
            own = next((str(each[key]) for key in NAMES if each.get(key)), str(index))
            yield from _flat({k: v for k, v in each.items() if k not in NAMES}, f"{name}.{own}")
    elif isinstance(value, list | tuple):
        if value:
            yield name, ", ".join(map(str, value))
    elif value not in (None, ""):
        yield name, str(value)
