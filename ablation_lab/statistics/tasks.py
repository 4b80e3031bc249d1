"""Methods compared over several tasks at once: what holds for tasks like these. Pure.

In: the outcomes of a study with a factor of `role: task`, whose other factors make the methods.
Out: scores x_mtr (M methods, T tasks, R replicates; ragged) on one scale, and of these the mean of
the middle half, performance profiles, the probability of improvement, and mean ranks with the
difference that two of them must have.

Sources: Agarwal et al., Deep reinforcement learning at the edge of the statistical precipice, 2021
(the first three); Demšar, Statistical comparisons of classifiers over multiple data sets, 2006
(ranks).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from math import isnan, nan, sqrt

import numpy as np
from scipy import stats as scipy_stats

from ablation_lab.statistics.intervals import LEVEL, LEVEL_OF_TESTS, Floats, Interval
from ablation_lab.statistics.outcomes import Outcomes
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.factor import FactorRole

FEWEST_TASKS = 5
RESAMPLES = 2_000
BATCH = 100  # resamples that are in memory at once
THRESHOLDS = 101
METHOD = "bootstrap of runs by task"

Statistic = Callable[[list[Floats]], Floats]  # of runs (B, R_t) by task: (B,) or (B, D)


@dataclass(frozen=True)
class Ranks:
    """The mean rank of each method over the tasks (1 is best, ties share), and how sure they are.

    Friedman's p says whether any two differ; where they do, two mean ranks differ (5 %, all pairs
    together) if they lie at least `critical` apart: q/√2 · √(M(M+1)/6T), Nemenyi, 1963.
    """

    mean: tuple[float, ...]
    p: float
    critical: float

    @property
    def groups(self) -> list[tuple[int, ...]]:
        """The largest groups of methods, best first, of which no two are told apart."""
        order = sorted(range(len(self.mean)), key=self.mean.__getitem__)
        reach = np.inf if self.p >= LEVEL_OF_TESTS or isnan(self.p) else self.critical
        found: list[tuple[int, ...]] = []
        for start, first in enumerate(order):
            near = tuple(m for m in order[start:] if self.mean[m] - self.mean[first] < reach)
            if len(near) > 1 and not (found and set(near) <= set(found[-1])):
                found.append(near)
        return found


@dataclass(frozen=True)
class Tasks:
    """Scores of methods on tasks, each of at least one run; more is better.

    A share counts as it is; another metric lies between 0, the worst run of its task, and 1, the
    best one, which `scaled` says. `baseline` is the place of the method that is compared with.
    """

    methods: tuple[str, ...]
    tasks: tuple[str, ...]
    scores: tuple[tuple[Floats, ...], ...]
    scaled: bool
    baseline: int | None

    @property
    def runs(self) -> int:
        """How many runs there are in all."""
        return sum(len(each) for method in self.scores for each in method)

    @cached_property
    def iqm(self) -> tuple[Interval, ...]:
        """Per method the mean of the middle half of its scores, every task weighing the same."""
        return tuple(_interval(scores, middle_half) for scores in self.scores)

    @cached_property
    def improvement(self) -> tuple[Interval | None, ...]:
        """Per method P(a run beats one of the baseline), mean over tasks; ties count a half."""
        if self.baseline is None:
            return (None,) * len(self.methods)
        base = self.scores[self.baseline]
        return tuple(
            None if m == self.baseline else _interval((*scores, *base), _beats)
            for m, scores in enumerate(self.scores)
        )

    @cached_property
    def ranks(self) -> Ranks:
        """The mean ranks of the methods by the means of their tasks."""
        means = np.array([[each.mean() for each in method] for method in self.scores]).T
        each = scipy_stats.rankdata(-means, axis=1)
        tasks, methods = means.shape
        q = float(scipy_stats.studentized_range.ppf(LEVEL, methods, np.inf)) / sqrt(2)
        critical = q * sqrt(methods * (methods + 1) / (6 * tasks))
        return Ranks(tuple(map(float, each.mean(axis=0))), _any_differ(each), critical)

    @cached_property
    def thresholds(self) -> Floats:
        """Scores at which profiles are taken, from the worst to the best run."""
        every = np.concatenate([each for method in self.scores for each in method])
        return np.linspace(every.min(), every.max(), THRESHOLDS)

    def profile(self, m: int) -> tuple[Floats, Floats, Floats]:
        """The share of scores above each threshold, mean over tasks, and its pointwise 95 % band.

        Each (D,); the ends of the band are NaN where a task has one run.
        """
        return _with_band(self.scores[m], partial(_above, thresholds=self.thresholds))


def task_factor(declaration: Declaration) -> str | None:
    """The name of the factor whose levels are tasks, where a study has one."""
    return next((f.name for f in declaration.compared if f.role is FactorRole.TASK), None)


def lacking(found: Mapping[str, Outcomes], declaration: Declaration) -> str:
    """Why a study with tasks says nothing over all of them, or '' where it does."""
    name = task_factor(declaration)
    if name is None:
        return ""
    tasks = len(declaration.factor(name).levels)
    if tasks < FEWEST_TASKS:
        return f"{tasks} tasks; a statement over tasks needs {FEWEST_TASKS}"
    complete = [m for m, cells in _methods(declaration, name).items() if _all_ran(cells, found)]
    if len(complete) < 2:
        return f"methods with a run of each of the {tasks} tasks: {len(complete)}, of 2 needed"
    return ""


def tasks_of(found: Mapping[str, Outcomes], declaration: Declaration) -> Tasks | None:
    """The scores of the methods that have a run of every task; None where `lacking` says why."""
    name = task_factor(declaration)
    if name is None or lacking(found, declaration):
        return None
    every = _methods(declaration, name)
    kept = {method: cells for method, cells in every.items() if _all_ran(cells, found)}
    raw = [
        [np.array(list(found[cell].values.values()), dtype=np.float64) for cell in cells.values()]
        for cells in kept.values()
    ]
    metric = declaration.primary
    plain = metric.is_share and metric.higher_is_better
    scores = raw if plain else _scaled(raw, higher_is_better=metric.higher_is_better)
    bases = set(declaration.baselines.values())
    baseline = [m for m, cells in enumerate(kept.values()) if set(cells.values()) <= bases]
    return Tasks(
        methods=tuple(kept),
        tasks=declaration.factor(name).levels,
        scores=tuple(map(tuple, scores)),
        scaled=not plain,
        baseline=baseline[0] if baseline else None,
    )


def _methods(declaration: Declaration, task: str) -> dict[str, dict[str, str]]:
    """Per method its cell by task, tasks in their order; methods that lack one are left out."""
    made: dict[str, dict[str, str]] = {}
    for cell in declaration.cells:
        others = [cell.factors.get(f.name) for f in declaration.compared if f.name != task]
        method = " · ".join(filter(None, others))
        if task in cell.factors and not cell.trains_members:
            made.setdefault(method, {})[cell.factors[task]] = cell.cell
    levels = declaration.factor(task).levels
    return {
        method: {level: cells[level] for level in levels}
        for method, cells in made.items()
        if cells.keys() == set(levels)
    }


def _all_ran(cells: Mapping[str, str], found: Mapping[str, Outcomes]) -> bool:
    return all(found[cell].values for cell in cells.values())


def _scaled(raw: list[list[Floats]], *, higher_is_better: bool) -> list[list[Floats]]:
    """Each task's runs between 0, the worst of them, and 1; one that diverged is the worst."""
    columns = []
    for runs in zip(*raw, strict=True):
        signed = [each if higher_is_better else -each for each in runs]
        every = np.concatenate(signed)
        finite = every[np.isfinite(every)]
        low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 0.0)
        span = high - low if high > low else 1.0
        columns.append([np.where(np.isfinite(each), (each - low) / span, 0.0) for each in signed])
    return [list(row) for row in zip(*columns, strict=True)]


def middle_half(drawn: list[Floats]) -> Floats:
    """The mean of the middle half of scores (B, R_t) of each task, every task weighing the same.

    Of equally many runs a task that is the trimmed mean of all; others are weighed by 1/R_t, and
    the run at either quarter counts in part.
    """
    scores = np.concatenate(drawn, axis=1)
    weights = np.concatenate([np.full(each.shape[1], 1 / each.shape[1]) for each in drawn])
    order = np.argsort(scores, axis=1, kind="stable")
    ends = np.cumsum(weights[order], axis=1) / weights.sum()
    starts = np.concatenate([np.zeros_like(ends[:, :1]), ends[:, :-1]], axis=1)
    inside = np.clip(np.minimum(ends, 0.75) - np.maximum(starts, 0.25), 0, None)
    middle: Floats = (np.take_along_axis(scores, order, axis=1) * inside).sum(axis=1)
    total: Floats = inside.sum(axis=1)
    return middle / total


def _above(drawn: list[Floats], *, thresholds: Floats) -> Floats:
    """Per resample and threshold the share of runs above it, mean over tasks: (B, D)."""
    shares = [(each[:, :, None] > thresholds).mean(axis=1) for each in drawn]
    above: Floats = np.mean(shares, axis=0)
    return above


def _beats(drawn: list[Floats]) -> Floats:
    """P(a run of the first half beats one of the second), mean over tasks; ties count a half."""
    tasks = len(drawn) // 2
    signs = [
        np.sign(ours[:, :, None] - base[:, None, :]).mean(axis=(1, 2))
        for ours, base in zip(drawn[:tasks], drawn[tasks:], strict=True)
    ]
    won: Floats = (np.mean(signs, axis=0) + 1) / 2
    return won


def _any_differ(ranks: Floats) -> float:
    """Friedman's p that ranks (T, M) differ only by chance; of two methods that of the sign test.

    NaN where all methods tie on every task.
    """
    if (ranks == ranks[:, :1]).all():
        return nan
    if ranks.shape[1] > 2:
        return float(scipy_stats.friedmanchisquare(*ranks.T).pvalue)
    wins = [int((ranks[:, m] < ranks[:, 1 - m]).sum()) for m in (0, 1)]
    return float(scipy_stats.binomtest(wins[0], sum(wins)).pvalue)


def _interval(scores: tuple[Floats, ...], of: Statistic) -> Interval:
    (middle,), (low,), (high,) = (np.atleast_1d(each) for each in _with_band(scores, of))
    method = "none (one run of a task)" if isnan(low) else METHOD
    return Interval(float(middle), float(low), float(high), sum(map(len, scores)), method)


def _with_band(scores: tuple[Floats, ...], of: Statistic) -> tuple[Floats, Floats, Floats]:
    """A statistic of all tasks with the 95 % of it that runs drawn again, by task, give.

    2,000 seeded draws in batches; the band is widened to contain the estimate.
    """
    middle = of([each[None] for each in scores])[0]
    if min(map(len, scores)) < 2:
        nothing = np.full_like(middle, nan)
        return middle, nothing, nothing
    generator = np.random.default_rng(0)
    found = []
    for _ in range(RESAMPLES // BATCH):
        drawn = [generator.integers(len(each), size=(BATCH, len(each))) for each in scores]
        found.append(of([each[chosen] for each, chosen in zip(scores, drawn, strict=True)]))
    low, high = np.quantile(np.concatenate(found), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return middle, np.minimum(low, middle), np.maximum(high, middle)
