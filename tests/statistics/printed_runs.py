"""Simulations behind the section on reference values in docs/statistics.md.

`python -m tests.statistics.printed_runs RUNS` prints a table in Markdown from fixed seeds: how
often one more run of the same recipe differs, is not decidable, and how often one is noticed that
lies two standard deviations away; in brackets the power that the verdicts say.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache

import numpy as np

from ablation_lab.statistics.intervals import Floats
from ablation_lab.statistics.reference_values import SHIFT, Word, judge_run
from tests.statistics.simulations import KINDS

SAMPLES = (10, 40, 200)
NUMBERS = (1, 16)
SHARED = 0.8  # of the variance of a curve's points, which move together
SHOWN = ("normal", "skewed")


def drawn(kind: str, n: int, numbers: int, *, seed: int) -> Floats:
    """Runs of a kind, whose further numbers are the first one with noise, as a curve's are."""
    rng = np.random.default_rng([n, numbers, list(KINDS).index(kind), seed])
    first = KINDS[kind](rng, (n, 1))
    noise = rng.normal(size=(n, numbers)) * spread(kind) * np.sqrt(1 / SHARED - 1)
    return first if numbers == 1 else first + noise


@cache
def spread(kind: str) -> float:
    """The standard deviation of the first number."""
    return float(KINDS[kind](np.random.default_rng(0), (100_000, 1)).std())


def row(kind: str, n: int, numbers: int, *, runs: int) -> str:
    """Percent of printed runs that differ, are not decidable, are noticed when moved."""
    same, moved, said = [], [], []
    for seed in range(runs):
        values = drawn(kind, n + 1, numbers, seed=seed)
        printed, ours = values[0], values[1:]
        away = SHIFT * spread(kind) / (1 if numbers == 1 else np.sqrt(SHARED))
        same.append(judge_run(printed, ours, shares=False))
        moved.append(judge_run(printed - away, ours, shares=False).word is Word.DIFFERS)
        said.append(same[-1].power)
    words = [verdict.word for verdict in same]
    differ, open_ = (100 * words.count(w) / runs for w in (Word.DIFFERS, Word.NOT_DECIDABLE))
    power = "–" if np.isnan(said).all() else f"{100 * np.nanmean(said):.0f}"
    return f"{differ:.1f} / {open_:.1f} / {100 * np.mean(moved):.0f} ({power})"


def table(runs: int) -> Iterator[str]:
    """Yield one line for each kind and number of numbers, one column for each n."""
    yield f"| runs | numbers | {' | '.join(f'n = {n}' for n in SAMPLES)} |"
    yield "| --- " * (2 + len(SAMPLES)) + "|"
    for kind in SHOWN:
        for numbers in NUMBERS:
            cells = " | ".join(row(kind, n, numbers, runs=runs) for n in SAMPLES)
            yield f"| {kind} | {numbers} | {cells} |"


if __name__ == "__main__":
    for line in table(int(sys.argv[1])):
        print(line, flush=True)  # noqa: T201
