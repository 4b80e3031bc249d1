"""What intervals over seeds, and over seeds and test items, hold of the mean over all of both."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.stats import norm

from ablation_lab.statistics.intervals import Bounds, Floats, mean_interval
from ablation_lab.statistics.items import item_errors

SHARES: Bounds = (0.0, 1.0)
RUNS = (3, 5, 8, 10, 20)
SEEDS, ITEMS, MIDDLE = 0.05, 1.5, 2.5  # spreads and middle of how surely an item is got right


def hits_of(rng: np.random.Generator, runs: int, items: int) -> Floats:
    """Hits (R, M): runs differ in how good they are, items in how hard they are."""
    good, hard = rng.normal(0, SEEDS, (runs, 1)), rng.normal(0, ITEMS, (1, items))
    made: Floats = (rng.normal(size=(runs, items)) < MIDDLE + good + hard).astype(float)
    return made


def both_cover(runs: int, items: int, *, draws: int) -> tuple[float, float]:
    """How often the interval over seeds, and that over both, hold the mean over all of both."""
    rng = np.random.default_rng([runs, items])
    truth = float(norm.cdf(MIDDLE / (1 + SEEDS**2 + ITEMS**2) ** 0.5))
    found = []
    for _ in range(draws):
        hits = hits_of(rng, runs, items)
        seeds = mean_interval(hits.mean(axis=1), bounds=SHARES)
        both = item_errors(hits).both(seeds, bounds=SHARES)
        found.append([each.low <= truth <= each.high for each in (seeds, both)])
    seeds_hold, both_hold = np.mean(found, axis=0)
    return float(seeds_hold), float(both_hold)


def table_of_items(draws: int) -> Iterator[str]:
    """Yield one line for each size of a test set: coverage over seeds / over both."""
    yield f"| items | {' | '.join(f'n = {n}' for n in RUNS)} |"
    yield "| --- " * (1 + len(RUNS)) + "|"
    for items in (100, 360, 2_000):
        found = [both_cover(n, items, draws=draws) for n in RUNS]
        yield f"| {items} | {' | '.join(f'{100 * a:.1f} / {100 * b:.1f}' for a, b in found)} |"
