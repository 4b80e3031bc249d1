"""Looking at comparisons while runs come in keeps the level, and decides from stored runs alone."""

from __future__ import annotations

from itertools import pairwise
from math import isnan

import numpy as np
import pytest

from ablation_lab.statistics.comparisons import Standing, compared
from ablation_lab.statistics.intervals import Floats
from ablation_lab.statistics.needed import with_what_is_needed
from ablation_lab.statistics.outcomes import Outcomes, outcomes
from ablation_lab.statistics.sequential import MARGIN, Looks
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.looks import UntilDecided
from tests.report.grids import declared, frame
from tests.statistics.simulated_looks import false_looks, saved
from tests.statistics.simulations import normal

LOOKS = (8, 12, 16, 24, 32)


def study(cells: int, *, looks: tuple[int, ...] = LOOKS, **changes: object) -> Declaration:
    """A study of so many cells against the first one."""
    levels = [str(index) for index in range(cells)]
    return declared({"a": levels}, 32, baseline="a=0", looks=list(looks), **changes)


def found_of(values: Floats, made: Declaration) -> dict[str, Outcomes]:
    """The outcomes of runs (R, cells); NaN where a run is not there."""
    cells = {cell.cell: values[:, k] for k, cell in enumerate(made.cells)}
    runs = frame(made, cells)
    return outcomes(runs[runs[made.metric].notna()], made)


@pytest.mark.parametrize(
    ("least", "most", "looks"),
    [
        (8, 32, (8, 12, 16, 24, 32)),
        (8, 18, (8, 12, 18)),
        (6, 9, (6, 9)),
        (5, 23, (5, 8, 10, 15, 23)),
        (8, 9, (9,)),
        (2, 1000, (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1000)),
    ],
)
def test_looks_grow_from_at_least_to_at_most(least: int, most: int, looks: tuple[int, ...]) -> None:
    made = UntilDecided(at_least=least, at_most=most, until="decided").looks
    assert made == looks
    assert all(before < after for before, after in pairwise(made))


def test_the_levels_are_pocock_s_but_for_the_margin() -> None:
    # Pocock, 1977, table 1: the nominal level of 2, 5 and 10 equally spaced looks at one.
    for count, nominal in ((2, 0.0294), (5, 0.0158), (10, 0.0106)):
        looks = Looks(tuple(range(10, 10 * count + 1, 10)), 1)
        assert looks.overall(nominal) == pytest.approx(MARGIN * 0.05, rel=0.005)


@pytest.mark.parametrize("comparisons", [1, 7, 300])
@pytest.mark.parametrize("at", [(8, 9), LOOKS, tuple(range(10, 300, 17))])
def test_all_looks_together_have_the_level(at: tuple[int, ...], comparisons: int) -> None:
    looks = Looks(at, comparisons)
    assert looks.overall(looks.level) == pytest.approx(0.05)
    assert 0.05 / len(at) / MARGIN < looks.level < 0.05
    chances = [looks.overall(p) for p in (1e-9, 1e-4, 0.01, 0.3, 0.9, 1.0)]
    assert chances == sorted(chances)
    assert all(chance >= p for chance, p in zip(chances, (1e-9, 1e-4, 0.01, 0.3), strict=False))


def test_one_look_is_a_test_like_any_other() -> None:
    for at in ((), (12,)):
        assert (Looks(at, 5).level, Looks(at, 5).overall(0.03)) == (0.05, 0.03)
    assert isnan(Looks(LOOKS, 5).overall(float("nan")))


@pytest.fixture
def runs() -> Floats:
    """32 runs of a baseline, of one far above it, one somewhat, and one like it."""
    rng = np.random.default_rng(5)
    return rng.normal(size=(32, 4)) + np.array([0.0, 5.0, 1.5, 0.0])


def test_a_cell_stays_as_the_look_had_it_that_decided_it(runs: Floats) -> None:
    made = study(4)
    found = compared(found_of(runs, made), made)
    far, near, like = found.to_baseline
    assert (far.standing, far.looked, far.asked, far.difference.n) == (Standing.BETTER, 8, 8, 8)
    assert 8 < near.asked < 32
    assert (near.standing, near.looked) == (Standing.BETTER, near.asked)
    assert (like.standing, like.looked, like.asked) == (Standing.UNDECIDED, 32, 32)
    # The baseline stays as long as anything is compared with it.
    assert found.asked == {"a=0": 32, "a=1": 8, "a=2": near.asked, "a=3": 32}
    # Runs that nothing asked for change nothing of it.
    changed = runs.copy()
    changed[8:, 1] = -9
    again = compared(found_of(changed, made), made).to_baseline[0]
    assert (again.p, again.difference, again.looked) == (far.p, far.difference, 8)


def test_what_is_asked_for_next_follows_from_the_runs_that_have_ended(runs: Floats) -> None:
    made = study(4)
    seen = []
    for n in (0, 7, 8, 11, 12):
        values = np.where(np.arange(32)[:, None] < n, runs, np.nan)
        found = compared(found_of(values, made), made)
        seen.append((found.asked["a=3"], found.asked["a=1"], found.to_baseline[2].verdict))
    assert seen == [
        (8, 8, "needs n ≥ 8"), (8, 8, "needs n ≥ 8"), (12, 8, "undecided"), (12, 8, "undecided"),
        (16, 8, "undecided"),
    ]  # fmt: skip


def test_an_equivalent_cell_is_decided_too(runs: Floats) -> None:
    made = study(2, equivalence=0.9)
    (like,) = compared(found_of(runs[:, [0, 3]] / 3, made), made).to_baseline
    assert like.standing is Standing.EQUIVALENT
    assert like.looked == like.asked < 32


def test_a_run_that_failed_has_ended(runs: Floats) -> None:
    made = study(2)
    given = frame(made, {"a=0": runs[:8, 0], "a=1": runs[:8, 1]})
    given.loc[3, ["status", made.metric]] = "failed", np.nan
    (far,) = compared(outcomes(given, made), made).to_baseline
    assert (far.looked, far.difference.n) == (8, 7)
    given.loc[3, "status"] = "missing"
    (far,) = compared(outcomes(given, made), made).to_baseline
    assert (far.looked, far.asked, far.verdict) == (None, 8, "needs n ≥ 8")


def test_p_and_interval_are_wider_than_those_of_a_single_look(runs: Floats) -> None:
    looked, once = study(2), study(2, looks=())
    values = runs[:8, [0, 2]] / 10  # differences of shares lie between -1 and 1
    (one,) = compared(found_of(values, once), once).to_baseline
    (several,) = compared(found_of(values, looked), looked).to_baseline
    assert several.p == pytest.approx(Looks(LOOKS, 1).overall(one.p))
    assert several.difference.low < one.difference.low < several.difference.estimate
    assert several.difference.high > one.difference.high


def test_the_smallest_p_of_the_looks_so_far_stands() -> None:
    rng, made = np.random.default_rng(1), study(2)
    values = rng.normal(size=(12, 2))
    values[:8, 1] += 1.0
    values[8:, 1] -= 6.0
    (first,) = compared(found_of(values[:8], made), made).to_baseline
    (second,) = compared(found_of(values, made), made).to_baseline
    assert (first.looked, second.looked) == (8, 12)
    assert first.p == second.p < 1


def test_looks_err_no_more_than_one_test_and_save_runs() -> None:
    # 400 tables of 5 %: a standard error of 1.1.
    assert false_looks(normal, 1, studies=400) <= 0.05 + 2 * 0.011
    rng, made = np.random.default_rng(2), study(4)
    middles = np.array([0.0, 3.0, -3.0, 2.0])
    found = saved([(rng.normal(size=(32, 4)) + middles, made) for _ in range(10)])
    assert found.same == found.verdicts == 30
    assert found.used < 0.6 * found.fixed


def test_a_run_that_is_not_needed_is_not_missing(runs: Floats) -> None:
    made = study(4)
    given = frame(made, {cell.cell: runs[:, k] for k, cell in enumerate(made.cells)})
    missing = given["replicate"] >= given["cell"].map({"a=1": 8}).fillna(32)
    given.loc[missing, ["status", made.metric, "reason"]] = "missing", np.nan, "not run"
    found = with_what_is_needed(given, made)
    assert set(found.loc[missing, "status"]) == {"not needed"}
    assert set(found.loc[missing, "reason"]) == {"decided at 8"}
    assert (found[~missing] == given[~missing]).all().all()
    assert outcomes(found, made)["a=1"].missing == 0
    assert outcomes(found, made)["a=1"].declared == 8
