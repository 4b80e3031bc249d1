"""How the numbers were made, with the works that say so.

In: studies. Out: sentences that end with the numbers of their references. Only methods that these
studies used are named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ablation_lab.report.references import Work, references
from ablation_lab.report.study import Study

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
    "A run did not converge (n/c) by rules fixed before any run: a loss or parameter is not "
    "finite, or at the end the training loss exceeds 0.98·ln C, or the accuracy is at most five "
    "points above chance. Where a study measures an accuracy, that decides and the loss does not: "
    "a network that is sure and sometimes errs has a high loss."
)


def methods(studies: Sequence[Study]) -> tuple[str, ...]:
    """The sentences on methods that these studies used, with reference numbers."""
    if not studies:
        return ()
    used, works = used_words(studies), cited(studies)
    said = [CONVERGENCE]
    for word, text in STATEMENTS:
        if word in used:
            said.append(text + _numbers([word], works))
    ideas = [work for work in works if not set(work.words) & {word for word, _ in STATEMENTS}]
    if ideas:
        listed = ", ".join(str(works.index(work) + 1) for work in ideas)
        said.append(f"Data, models and training follow [{listed}].")
    return tuple(said)


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
