"""Methods over several tasks: against other code, on cases known by hand, and in a report."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from ablation_lab import Study
from ablation_lab.cli import main
from ablation_lab.errors import ConfigurationError
from ablation_lab.statistics.tasks import Tasks, middle_half

GAINS = {"plain": 0.0, "wide": 0.02, "deep": 0.2}


def table(tasks: int = 6, runs: int = 4, *, metric: str = "accuracy") -> pd.DataFrame:
    """Runs of three methods on tasks, one of which is always better."""
    draw = np.random.default_rng(3)
    rows = [
        (method, f"task {t}", run, 0.3 + 0.05 * t + gain + 0.01 * draw.standard_normal())
        for (method, gain), t, run in product(GAINS.items(), range(tasks), range(runs))
    ]
    return pd.DataFrame(rows, columns=["method", "data", "seed", metric])


def study(rows: pd.DataFrame, metric: str = "accuracy", **asked: object) -> Study:
    """The table as a study, whose tasks are its data."""
    given = {"replicate": "seed", "baseline": {"method": "plain"}, "task": "data", **asked}
    return Study.from_frame(rows, factors=["method", "data"], metric=metric, **given)  # type: ignore[arg-type]


def tasks_of(rows: pd.DataFrame, metric: str = "accuracy") -> Tasks:
    """The scores of its methods."""
    found = study(rows, metric)._stored.tasks
    assert found is not None
    return found


def test_the_middle_half_is_the_trimmed_mean() -> None:
    draw = np.random.default_rng(0)
    scores = [draw.standard_normal((3, 4)) for _ in range(5)]
    expected = scipy_stats.trim_mean(np.concatenate(scores, axis=1), 0.25, axis=1)
    np.testing.assert_allclose(middle_half(scores), expected, rtol=1e-12)


def test_a_task_weighs_the_same_however_many_runs_it_has() -> None:
    once = [np.array([[t / 10]]) for t in range(8)]
    often = [*(np.repeat(each, 7, axis=1) for each in once[:3]), *once[3:]]
    np.testing.assert_allclose(middle_half(often), middle_half(once), rtol=1e-12)


def test_known_methods_are_told_apart() -> None:
    made = tasks_of(table(tasks=20))
    assert made.methods == ("plain", "wide", "deep")
    assert made.baseline == 0
    assert made.ranks.mean[2] == 1
    base, wide, deep = made.improvement
    assert base is None
    assert wide is not None
    assert deep is not None
    assert deep.estimate == 1
    assert 0.5 < wide.low <= wide.estimate < 1
    assert made.ranks.p < 0.001
    assert all(2 not in group for group in made.ranks.groups), "the best one stands alone"
    assert made.iqm[2].low > made.iqm[1].high


def test_ranks_agree_with_the_tables_of_the_source() -> None:
    # Demšar 2006, table 5: q at 5 % of 2 to 10 methods.
    printed = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]
    for methods, q in enumerate(printed, start=2):
        scores = tuple(tuple(np.array([m + 0.1 * t]) for t in range(14)) for m in range(methods))
        ranks = Tasks(tuple("abcdefghij"[:methods]), tuple("t" * 14), scores, True, None).ranks
        expected = q * np.sqrt(methods * (methods + 1) / (6 * 14))
        assert ranks.critical == pytest.approx(expected, rel=1e-3)


def test_methods_that_tie_everywhere_have_no_p() -> None:
    scores = tuple(tuple(np.array([0.5, 0.5]) for _ in range(5)) for _ in range(3))
    ranks = Tasks(("a", "b", "c"), tuple("12345"), scores, False, None).ranks
    assert np.isnan(ranks.p)
    assert ranks.mean == (2, 2, 2)
    assert ranks.groups == [(0, 1, 2)]


def test_profiles_fall_and_lie_in_their_bands() -> None:
    made = tasks_of(table())
    middle, low, high = made.profile(2)
    assert (np.diff(middle) <= 0).all()
    assert (low <= middle).all()
    assert (middle <= high).all()
    plain, *_ = made.profile(0)
    assert (middle >= plain).all()


def test_a_loss_is_scaled_within_its_task_and_less_is_better() -> None:
    rows = table(metric="loss")
    rows["loss"] = 100 - rows["loss"] * [10.0 ** int(each[-1]) for each in rows["data"]]
    made = tasks_of(rows, "loss")
    assert made.scaled
    every = [np.concatenate([method[t] for method in made.scores]) for t in range(6)]
    assert all(scores.min() == 0 and scores.max() == 1 for scores in every)
    assert made.ranks.mean[2] == 1


def test_a_run_that_diverged_is_the_worst_of_its_task() -> None:
    rows = table(metric="loss")
    rows.loc[(rows["method"] == "deep") & (rows["data"] == "task 0"), "loss"] = np.inf
    made = tasks_of(rows, "loss")
    assert set(made.scores[2][0]) == {0.0}


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        pytest.param(table(tasks=4), "4 tasks", id="few tasks"),
        pytest.param(table().query("method == 'plain' or data != 'task 2'"), "1, of 2", id="holes"),
    ],
)
def test_it_says_why_nothing_is_said(rows: pd.DataFrame, why: str) -> None:
    found = study(rows)
    assert found._stored.tasks is None
    assert why in found.markdown("main")


def test_a_method_without_a_task_is_left_out() -> None:
    made = tasks_of(table().query("method != 'wide' or data != 'task 2'"))
    assert made.methods == ("plain", "deep")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        pytest.param({"task": "date"}, "nearest: 'data'", id="no such factor"),
        pytest.param({"baseline": {"data": "task 1"}}, "leave it out", id="a task as baseline"),
    ],
)
def test_what_tasks_cannot_be_is_refused(asked: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        study(table(), **asked)


def test_an_imported_table_with_tasks_has_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table().to_csv("scores.csv", index=False)
    columns = ["--factors", "method,data", "--replicate", "seed", "--metric", "accuracy"]
    roles = ["--task", "data", "--baseline", "method=plain"]
    assert main(["import", "scores.csv", *columns, *roles]) == 0
    (folder,) = Path("reports").glob("*/scores")
    rows = (folder / "table_tasks.md").read_text(encoding="utf-8")
    assert "deep" in rows
    assert "Mean ranks differ over tasks" in rows
    assert (folder / "figure_profiles.svg").exists()
    assert (folder / "figure_ranks.svg").exists()
