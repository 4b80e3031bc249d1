"""A study that runs until it is decided: looks at stored runs, killed and resumed, two at once."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.cli.lab import ONE_WORKER, STUDY, Lab, ended, wait_until

LOOKS = {"at_least": 6, "at_most": 12, "until": "decided"}
# Three widths on the digits: one is far from the others, two are alike.
RUN = {
    "model": {"family": "mlp"},
    "data": {"name": "digits"},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "training": {"epochs": 1, "batch_size": 100},
}
CELLS = ("width=few", "width=many", "width=more")


def study(**changes: Any) -> dict[str, Any]:
    levels = {name: {"model.widths": [n]} for name, n in (("few", 1), ("many", 32), ("more", 33))}
    return {
        **STUDY,
        "metric": "test_accuracy",
        "baseline": {"width": "many"},
        "run": RUN,
        "factors": {"width": {"levels": levels}},
        "profiles": {"smoke": {"replicates": LOOKS}},
        **changes,
    }


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path)
    made.declare("looks", study())
    return made


def names(lab: Lab) -> list[tuple[str, int]]:
    """The runs of the study that finished."""
    return [run.name for run in lab.runs("looks") if run.status == "FINISHED"]


def runs_of(**cells: int) -> list[tuple[str, int]]:
    return [(f"width={cell}", r) for cell, n in cells.items() for r in range(n)]


WHOLE = sorted(runs_of(few=9, many=12, more=12))
CALL = ("study=looks", ONE_WORKER)


def test_only_what_is_open_gets_more_runs_and_the_report_says_so(lab: Lab) -> None:
    done = lab.call(*CALL)
    assert done.status == 0, done.err
    assert sorted(names(lab)) == WHOLE
    assert "looks: 0 of 2 comparisons decided, 9 runs more\n" in done.out
    assert done.out.count("1 of 2 comparisons decided") == 2
    report = lab.folder / "reports" / "smoke" / "looks"
    runs = pd.read_csv(report / "runs.csv")
    spared = runs[runs["status"] == "not needed"]
    assert [(row.cell, row.replicate, row.reason) for row in spared.itertuples()] == [
        ("width=few", r, "decided at 9") for r in (9, 10, 11)
    ]
    assert len(runs) == 36
    pairs = pd.read_csv(report / "comparisons.csv").set_index("contrast")
    assert pairs[["n", "verdict"]].to_numpy().tolist() == [[9, "worse"], [12, "undecided"]]
    assert pairs["decided_after"].fillna(0).tolist() == [9, 0]
    page = (report.parent / "looks.html").read_text(encoding="utf-8")
    assert "worse after 9" in page
    assert "3 of 36 declared runs are not needed so far" in page
    again = lab.call(*CALL)
    assert again.status == 0, again.err
    assert again.out.startswith("1 study, 3 cells, 33 runs: 33 done, nothing to do\n")


def test_a_plan_says_the_looks_their_level_and_the_runs(lab: Lab) -> None:
    plan = lab.plan(*CALL)
    assert plan.status == 0, plan.err
    first = "1 study, 3 cells, 18 runs: 0 done, 18 to do (under a minute on 1 worker)"
    assert f"{first}, up to 18 more until decided\n" in plan.out
    assert "looked at with 6, 9, 12 replicates, each time at p ≤ 0.02" in plan.out
    assert "better or worse from 9 on; fewest runs 18, most 36\n" in plan.out
    assert not (lab.folder / "runs").exists()


@pytest.mark.parametrize("seen", [4, 22], ids=["in the first look", "in the second"])
def test_a_call_that_is_killed_is_resumed_as_if_it_had_not_been(lab: Lab, seen: int) -> None:
    process = lab.start(*CALL, "reports=null")
    wait_until(lambda: len(names(lab)) >= seen, what=f"{seen} runs")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = {run.run_id for run in lab.runs("looks") if run.status == "FINISHED"}
    assert seen <= len(before) < len(WHOLE)
    again = lab.call(*CALL, "reports=null")
    assert again.status == 0, again.err
    after = [run for run in lab.runs("looks") if run.status == "FINISHED"]
    assert sorted(run.name for run in after) == WHOLE  # each once
    assert before <= {run.run_id for run in after}


def test_two_runners_find_the_same(lab: Lab) -> None:
    calls = [lab.start(*CALL, "reports=null") for _ in range(2)]
    done = [ended(call) for call in calls]
    assert [each.status for each in done] == [0, 0], done
    assert sorted(names(lab)) == WHOLE


def test_what_a_call_leaves_for_later_is_not_decided(lab: Lab) -> None:
    done = lab.call(*CALL, "reports=null", "now.replicates=4")
    assert done.status == 0, done.err
    assert "looks: 0 of 2 comparisons decided\n" in done.out
    assert sorted(names(lab)) == runs_of(few=4, many=4, more=4)
