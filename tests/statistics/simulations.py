"""Simulations behind docs/statistics.md: how often a procedure errs, and what an interval covers.

`python -m tests.statistics.simulations NAME [studies]` prints a table of `TABLES` in Markdown from
fixed seeds; the tests run a short form of each. `residuals STORE PROFILE` draws from the runs
of a store instead: every cell of a share is taken for all there is, and runs are drawn from it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from ablation_lab.report.study import load
from ablation_lab.statistics.attribution import change_shares
from ablation_lab.statistics.factorial import factorial
from ablation_lab.statistics.intervals import Bounds, Floats, mean_interval, two_kinds
from ablation_lab.statistics.joint import joint_test as jointly
from ablation_lab.statistics.outcomes import Outcomes, outcomes
from ablation_lab.statistics.planning import smallest_difference
from ablation_lab.statistics.robustness import Rule, shown
from tests.report.grids import declared, drawn, frame
from tests.statistics.simulated_gates import table_of_gates
from tests.statistics.simulated_items import table_of_items
from tests.statistics.simulated_looks import table_of_looks, table_of_rivals

Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]
IMAGES = 360  # of the embedded digits' test set: accuracies are multiples of 1/360


def normal(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Accuracies of 97 ± 0.3 %."""
    return rng.normal(0.97, 0.003, shape)


def skewed(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Accuracies near 100 % with a tail below."""
    return 1 - 0.002 * rng.gamma(2, size=shape)


def rounded(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Accuracies on few test images."""
    return np.round(normal(rng, shape) * IMAGES) / IMAGES


def unequal(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Equal means; the spreads of cells differ by factors of e."""
    return 0.9 + 0.003 * rng.normal(size=shape) * np.exp(rng.normal(size=shape[1]))


def collapsing(rng: np.random.Generator, shape: tuple[int, int], *, share: float) -> Floats:
    """Accuracies of 97 %, but of a share of the runs that of guessing."""
    lost = rng.random(shape) < share
    return np.where(lost, rng.normal(0.1, 0.005, shape), normal(rng, shape))


KINDS: dict[str, Draw] = {
    "normal": normal,
    "skewed": skewed,
    "rounded": rounded,
    "unequal spreads": unequal,
    "collapsing 10 %": partial(collapsing, share=0.1),
    "collapsing 30 %": partial(collapsing, share=0.3),
    "collapsing 50 %": partial(collapsing, share=0.5),
}


def against_the_first(values: Floats) -> Floats:
    """Every further cell minus the first one, replicate by replicate."""
    return values[:, 1:] - values[:, :1]


def false_positives(kind: str, n: int, comparisons: int, *, studies: int) -> float:
    """The share of studies without any effect of which a table says that there is one."""
    rng = np.random.default_rng([n, comparisons, list(KINDS).index(kind)])
    tables = (KINDS[kind](rng, (n, comparisons + 1)) for _ in range(studies))
    return float(np.mean([jointly(against_the_first(x)).p.min() <= 0.05 for x in tables]))


def power(n: int, comparisons: int, *, studies: int, sizes: float = 1.0) -> float:
    """The share of differences found that the plan calls the smallest shown with 80 %.

    Half of the cells differ by so much, times `sizes`, from the baseline.
    """
    rng = np.random.default_rng([n, comparisons])
    real = max(1, comparisons // 2)
    effect = sizes * smallest_difference(comparisons, n)
    found = []
    for _ in range(studies):
        values = rng.normal(size=(n, comparisons + 1))
        values[:, 1 : real + 1] += effect
        found.append((jointly(against_the_first(values)).p[:real] <= 0.05).mean())
    return float(np.mean(found))


MEANS = {"normal": 0.97, "skewed": 0.996, "rounded": 0.97, "unequal spreads": 0.9} | {
    f"collapsing {share} %": 0.97 - share / 100 * 0.87 for share in (10, 30, 50)
}
SHARES: Bounds = (0.0, 1.0)


def coverage(kind: str, n: int, *, draws: int) -> tuple[float, float, float]:
    """How often the interval of a mean holds the mean: of all samples, and of those that show all.

    Those show every kind of run that there is: both where runs collapse. The last number is the
    mean length of the intervals in points.
    """
    rng = np.random.default_rng([n, list(KINDS).index(kind)])
    samples = [KINDS[kind](rng, (n, 1)).ravel() for _ in range(draws)]
    made = [mean_interval(x, bounds=SHARES) for x in samples]
    inside = np.array([each.low <= MEANS[kind] <= each.high for each in made])
    whole = np.array(["coll" not in kind or np.ptp(x) > 0.5 for x in samples])
    length = np.mean([each.high - each.low for each in made])
    return float(inside.mean()), float(inside[whole].mean()), 100 * float(length)


def coverage_of_runs(runs: Floats, n: int, *, draws: int) -> list[tuple[bool, bool]]:
    """Per sample of n of these runs: does its interval hold their mean, has it all kinds."""
    rng, kinds = np.random.default_rng(n), two_kinds(runs, SHARES)
    edge = -1.0 if kinds is None else float(kinds[0].max())
    found = []
    for _ in range(draws):
        x = rng.choice(runs, n)
        each = mean_interval(x, bounds=SHARES)
        whole = kinds is None or bool((x <= edge).any() and (x > edge).any())
        found.append((each.low <= runs.mean() <= each.high, whole))
    return found


CHANGES = {"a": ["off", "on"], "b": ["off", "on"], "c": ["off", "on"]}
# Three changes, of which the last two interact: Shapley values 0.005, 0.004 and -0.001.
WORTH = {frozenset("a"): 0.005, frozenset("b"): 0.003, frozenset("c"): -0.002}
WORTH |= {frozenset("bc"): 0.002}


def shares_hold(kind: str, n: int, *, studies: int) -> tuple[float, float]:
    """How often the shares of a change have intervals, and how often those hold all true shares."""
    rng = np.random.default_rng([n, list(KINDS).index(kind)])
    study = declared(CHANGES, n, baseline="a=off,b=off,c=off")
    data = factorial(outcomes(frame(study, drawn(CHANGES, n, seed=0)), study), study)
    assert data is not None
    changed = [{f for f, level in cell.factors.items() if level == "on"} for cell in data.cells]
    worth = np.array([sum(v for s, v in WORTH.items() if s <= each) for each in changed])
    truth = {"a": 0.005 / 0.008, "b": 0.004 / 0.008, "c": -0.001 / 0.008}
    drawings = (KINDS[kind](rng, (n, len(worth))) + worth for _ in range(studies))
    made = [change_shares(replace(data, values=values)) for values in drawings]
    given = [each for each in made if np.isfinite([share.low for share in each.values()]).all()]
    held = [all(s.low <= truth[f] <= s.high for f, s in each.items()) for each in given]
    return len(given) / studies, float(np.mean(held)) if held else np.nan


def table_of_shares(studies: int) -> Iterator[str]:
    """Yield one line for each kind: studies whose shares have intervals / of those, all right."""
    yield f"| runs | {' | '.join(f'n = {n}' for n in REPLICATES)} |"
    yield "| --- " * (1 + len(REPLICATES)) + "|"
    for kind in KINDS:
        found = [shares_hold(kind, n, studies=studies) for n in REPLICATES]
        yield f"| {kind} | {' | '.join(f'{100 * a:.0f} / {100 * b:.1f}' for a, b in found)} |"


REPLICATES = (3, 4, 5, 6, 8, 10, 13, 20)
COMPARISONS = (2, 5, 30, 80)


def table_of_false_positives(studies: int) -> Iterator[str]:
    """Yield one line for each kind and number of comparisons, one column for each n."""
    yield f"| runs | comparisons | {' | '.join(f'n = {n}' for n in REPLICATES)} |"
    yield "| --- " * (2 + len(REPLICATES)) + "|"
    for kind in KINDS:
        for comparisons in COMPARISONS:
            found = [false_positives(kind, n, comparisons, studies=studies) for n in REPLICATES]
            shown = " | ".join(f"{100 * share:.1f}" for share in found)
            yield f"| {kind} | {comparisons} | {shown} |"


def table_of_power(studies: int) -> Iterator[str]:
    """Yield one line for each number of comparisons, one column for each n."""
    yield f"| comparisons | {' | '.join(f'n = {n}' for n in REPLICATES)} |"
    yield "| --- " * (1 + len(REPLICATES)) + "|"
    for comparisons in (1, *COMPARISONS):
        found = [power(n, comparisons, studies=studies) for n in REPLICATES]
        yield f"| {comparisons} | {' | '.join(f'{100 * share:.0f}' for share in found)} |"


def cells_of(values: Floats) -> list[Outcomes]:
    """Cells (R, C) as outcomes; runs near guessing did not converge."""
    return [
        Outcomes(
            cell=str(c), values=dict(enumerate(runs.tolist())),
            unconverged=tuple(np.flatnonzero(runs < 0.5).tolist()),
            ended=frozenset(range(len(runs))), declared=len(runs), finished=len(runs),
            failed=0, missing=0, skipped=0, non_finite=0, reason="",
        )
        for c, runs in enumerate(values.T)
    ]  # fmt: skip


def shown_by(rule: Rule, kind: str, n: int, *, studies: int, effect: float = 0.0) -> float:
    """How often a rule shows a difference in a table of five cells against a baseline.

    Without an effect the share of tables that show any, else the share of cells that are shown.
    """
    rng = np.random.default_rng([n, list(KINDS).index(kind)])
    found = []
    for _ in range(studies):
        values = KINDS[kind](rng, (n, 6))
        values[:, 1:] += effect
        base, *others = cells_of(values)
        signs = shown(rule, [(other, base) for other in others])
        found.append((signs > 0).mean() if effect else np.nansum(np.abs(signs)) > 0)
    return float(np.mean(found))


def table_of_rules(studies: int) -> Iterator[str]:
    """Yield one line for each kind: false tables / power at two standard deviations, by rule."""
    sizes = (6, 10, 20)
    yield f"| runs | n | {' | '.join(Rule)} |"
    yield "| --- " * (2 + len(Rule)) + "|"
    for kind in KINDS:
        for n in sizes:
            pairs = [
                [shown_by(rule, kind, n, studies=studies, effect=e) for e in (0.0, 0.006)]
                for rule in Rule
            ]
            said = " | ".join(f"{100 * a:.1f} / {100 * b:.0f}" for a, b in pairs)
            yield f"| {kind} | {n} | {said} |"


SAMPLES = (3, 5, 6, 8, 10, 20, 200)


def table_of_coverage(draws: int) -> Iterator[str]:
    """Yield one line for each kind: coverage of all samples / of those that show every kind."""
    yield f"| runs | {' | '.join(f'n = {n}' for n in SAMPLES)} |"
    yield "| --- " * (1 + len(SAMPLES)) + "|"
    for kind in KINDS:
        found = [coverage(kind, n, draws=draws) for n in SAMPLES]
        shown = " | ".join(f"{100 * a:.1f} / {100 * b:.1f} ({c:.2f})" for a, b, c in found)
        yield f"| {kind} | {shown} |"


def table_of_residuals(uri: str, profile: str) -> Iterator[str]:
    """Yield the coverage over all cells of shares with ten or more runs that a store holds."""
    yield f"| cells | {' | '.join(f'n = {n}' for n in SAMPLES)} |"
    yield "| --- " * (1 + len(SAMPLES)) + "|"
    cells = [
        np.array(list(each.values.values()))
        for study in load(uri, profile)
        if study.declaration.is_share and not study.declaration.is_success
        for each in study.outcomes.values()
        if len(each.values) >= 10
    ]
    spread = [runs for runs in cells if np.ptp(runs) > 0]
    found = [np.vstack([coverage_of_runs(x, n, draws=40) for x in spread]) for n in SAMPLES]
    shown = (f"{100 * x[:, 0].mean():.1f} / {100 * x[x[:, 1], 0].mean():.1f}" for x in found)
    yield f"| {len(spread)} | {' | '.join(shown)} |"


TABLES: dict[str, Callable[..., Iterator[str]]] = {
    "false": lambda studies: table_of_false_positives(int(studies)),
    "power": lambda studies: table_of_power(int(studies)),
    "coverage": lambda draws: table_of_coverage(int(draws)),
    "items": lambda draws: table_of_items(int(draws)),
    "rules": lambda studies: table_of_rules(int(studies)),
    "shares": lambda studies: table_of_shares(int(studies)),
    "residuals": table_of_residuals,
    "sequential": lambda studies: table_of_looks(KINDS, int(studies)),
    "gates": lambda loops: table_of_gates(KINDS, int(loops)),
    "adastop": lambda studies: table_of_rivals(int(studies)),
}
if __name__ == "__main__":
    for line in TABLES[sys.argv[1]](*sys.argv[2:]):
        print(line, flush=True)  # noqa: T201
