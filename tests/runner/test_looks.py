"""A study that runs until it is decided: looks at stored runs, killed and resumed, two at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.lab import ONE_WORKER, STUDY, Lab

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
    print(done.out)
    assert sorted(names(lab)) == WHOLE
