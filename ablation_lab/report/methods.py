"""How the numbers were made, with the works that say so, and where they come from.

In: studies. Out: sentences that end with the numbers of their references, and the references; only
methods that these studies used are named. And facts: commit, versions, machine, data, settings,
time, command; what all studies share is said once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ablation_lab.report.findings import common_settings
from ablation_lab.report.study import Study

WORKS = Path(__file__).parent / "templates" / "works.yaml"
Fact = tuple[str, str]  # a name and its value
STATEMENTS = (
    (
        "t",
        "A mean over fewer than ten converged runs carries a 95 % t-interval over replicates, and "
        "figures show every run.",
    ),
    (
        "BCa bootstrap",
        "A mean over ten or more converged runs carries a 95 % BCa bootstrap interval over "
        "replicates (10,000 resamples, fixed generator).",
    ),
    ("Wilson", "A success share k/n carries Wilson's 95 % interval."),
    (
        "paired sign-flip",
        "Replicate r has the same data order in every cell, so differences are paired: a sign-flip "
        "permutation test, exact up to twelve pairs.",
    ),
    ("Fisher exact", "Success shares are compared by Fisher's exact test; their difference carries "
                     "Newcombe's interval."),
    ("Holm", "p-values are corrected by Holm's procedure over the table; a cell is set in bold "
             "only where it beats the runner-up after correction."),
)  # fmt: skip
CONVERGENCE = (
    "A run did not converge by declared rules: a loss or parameter is not "
    "finite, or at the end the training loss exceeds 0.98·ln C, or the accuracy is at most five "
    "points above chance. Where a study measures an accuracy, that decides and the loss does not: "
    "a network that is sure and sometimes errs has a high loss."
)


def methods(studies: Sequence[Study]) -> tuple[str, ...]:
    """The sentences on methods that these studies used, with reference numbers."""
    if not studies:
        return ()
    used, works = used_words(studies), cited(studies)
    said = [*protocols(studies), CONVERGENCE]
    for word, text in STATEMENTS:
        if word in used:
            said.append(text + _numbers([word], works))
    ideas = [work for work in works if not set(work.words) & {word for word, _ in STATEMENTS}]
    if ideas:
        listed = ", ".join(str(works.index(work) + 1) for work in ideas)
        said.append(f"Data, models and training follow [{listed}].")
    return tuple(said)


def protocols(studies: Sequence[Study]) -> list[str]:
    """What each study promised before its first run, if it did, and what it changed since."""
    return [
        sentence if len(studies) == 1 else f"{study.name}: {sentence}"
        for study in studies
        if study.protocol
        for sentence in study.protocol.sentences
    ]


def cited(studies: Sequence[Study]) -> tuple[Work, ...]:
    """The references that these studies call for."""
    return references(used_words(studies))


def used_words(studies: Sequence[Study]) -> set[str]:
    """The names of intervals, tests, trainers, data and settings that the studies used."""
    return {word for study in studies for word in _words(study)}


def _words(study: Study) -> Iterator[str]:
    yield "Holm"
    yield from (str(name) for name in study.cells["interval"])
    yield from (str(name) for name in study.cells["test"] if name)
    yield from (str(name) for name in study.frame["trainer"] if name)
    for cell in study.declaration.cells:
        yield from _leaves(cell.config)
    for factor in study.declaration.factors:
        yield factor.name
        yield from factor.levels


def _leaves(config: Mapping[str, Any]) -> Iterator[str]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _leaves(value)
            if name == "ensemble" and value:
                yield name
        elif name == "keep_prob" and value != 1:
            yield name
        elif isinstance(value, str):
            yield value


def _numbers(words: Sequence[str], works: Sequence[Work]) -> str:
    found = [str(i) for i, work in enumerate(works, 1) if set(work.words) & set(words)]
    return f" [{', '.join(found)}]" if found else ""


@dataclass(frozen=True)
class Work:
    """A published work, and the words whose use in a study calls for it."""

    text: str
    words: tuple[str, ...]


@cache
def _works() -> tuple[Work, ...]:
    listed = yaml.safe_load(WORKS.read_text(encoding="utf-8"))
    return tuple(Work(each["text"], tuple(each["words"])) for each in listed)


def references(words: Collection[str]) -> tuple[Work, ...]:
    """The works that any of the words calls for, in the order in which they are listed."""
    return tuple(work for work in _works() if set(work.words) & set(words))


FIRST = ("commit", "machine", "python")
DIGITS = 16


def facts(studies: Sequence[Study], *, profile: str) -> tuple[Fact, ...]:
    """Every fact of the provenance; empty without studies."""
    if not studies:
        return ()
    names = ",".join(study.name for study in studies)
    return (
        ("command", f"ablation run profile={profile} study=[{names}]"),
        *_shared(studies),
        *_data(studies),
        *((f"time of {study.name}", _time(study)) for study in studies),
        *((f"settings of {study.name}", _configuration(study)) for study in studies),
    )


def duration(seconds: float) -> str:
    """Seconds as a person reads them."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _shared(studies: Sequence[Study]) -> list[Fact]:
    each = [_flat(study.declaration.provenance) for study in studies]
    names = list(dict.fromkeys([*FIRST, *sorted({name for one in each for name in one})]))
    found = []
    for name in names:
        values = {s.name: one[name] for s, one in zip(studies, each, strict=True) if name in one}
        distinct = list(dict.fromkeys(values.values()))
        if len(distinct) == 1:
            found.append((name, distinct[0]))
        elif distinct:
            text = "; ".join(f"{study}: {value}" for study, value in values.items())
            found.append((name, text))
    return found


def _flat(provenance: Mapping[str, Any], place: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in provenance.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{place}{name}.")
        else:
            flat[f"{place}{name}"] = str(value)
    return flat


def _data(studies: Sequence[Study]) -> list[Fact]:
    used = {data.name: data for study in studies for data in study.declaration.data}
    return [
        (f"data {name}", f"{data.about} (identity {data.checksum[:DIGITS]})")
        for name, data in sorted(used.items())
    ]


def _time(study: Study) -> str:
    seconds = study.frame["seconds"].dropna()
    steps = study.frame["steps"].dropna()
    trainers, devices = _named(study, "trainer"), _named(study, "device")
    return (
        f"{duration(float(seconds.sum()))} in {len(seconds)} runs, {steps.sum():,.0f} steps"
        f"{f', trained {trainers}' if trainers else ''}{f', on {devices}' if devices else ''}"
    )


def _named(study: Study, column: str) -> str:
    """What stands in a column of the runs, with the number of runs where it is not the same."""
    counts = study.frame[column].loc[lambda values: values != ""].value_counts().sort_index()
    if len(counts) == 1:
        return str(counts.index[0])
    return " and ".join(f"{name} ({count})" for name, count in counts.items())


def _configuration(study: Study) -> str:
    declaration = study.declaration
    fixed = [f"{name}={value}" for name, value in common_settings(declaration).items()]
    varied = [f"{f.name} ∈ {{{', '.join(f.levels)}}}" for f in declaration.factors]
    rule = f"{declaration.replicates} replicates, values by {declaration.selection}"
    return "; ".join(filter(None, [rule, ", ".join(varied), ", ".join(fixed)]))
