"""Results of somebody else's as runs of a declared study: which run a row is, or what is wrong."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from ablation_lab.errors import ConfigurationError
from ablation_lab.runner.continued import Found, found_in
from ablation_lab.store.tables import Table, of_frame
from ablation_lab.study.declare import Declared, declare
from ablation_lab.study.record import NoConvergence, Record
from ablation_lab.study.run import TrainerName
from ablation_lab.study.schema import parse_study
from tests.training.scripts import STUDY

ROWS: dict[str, list[Any]] = {
    "lr": ["0.10", "0.1", "1e-2"],
    "seed": [11, 12, 11],
    "acc": [0.5, "inf", 0.75],
}


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Declared:
    content = {**STUDY, "factors": {"lr": [0.1, 0.01]}, "profiles": {"smoke": {"replicates": 3}}}
    path = tmp_path_factory.mktemp("project") / "conf" / "study" / "s.yaml"
    return declare(parse_study("s", content).model_copy(update={"path": path}), "smoke")


def table(**changes: list[Any]) -> Table:
    return of_frame(pd.DataFrame({**ROWS, **changes}), "theirs.csv")


def places(found: Found) -> list[tuple[str, int]]:
    return sorted((run.cell, run.replicate) for run in found.runs)


def recorded(found: Found) -> list[Record]:
    """Return the records of the first two rows, whose cell is the same."""
    records = [each for each in found.records(found.runs) if each.run.cell == "lr=0.1"]
    return sorted(records, key=lambda each: each.run.replicate)


def test_a_row_is_the_run_of_its_levels_and_seed(declared: Declared) -> None:
    found = found_in(table(), declared, "seed")
    assert places(found) == [("lr=0.01", 0), ("lr=0.1", 0), ("lr=0.1", 1)]
    first, second = recorded(found)
    assert (first.trainer, first.metrics) == (TrainerName.IMPORTED, {"acc": 0.5})
    assert first.run.key in {run.key for run in declared.runs}
    assert first.reason.startswith("imported from theirs.csv, 3 rows, sha256 ")
    assert first.reason.endswith(": row 0")
    assert second.not_converged is NoConvergence.NON_FINITE


def test_replicates_stay_where_they_are_those_of_the_study(declared: Declared) -> None:
    found = found_in(table(seed=[2, 1, 2]), declared, "seed")
    assert places(found) == [("lr=0.01", 2), ("lr=0.1", 1), ("lr=0.1", 2)]
    assert len(found_in(table(seed=["a", "b", "c"]), declared, "").runs) == 3


def test_a_row_without_a_value_is_left_to_be_trained(declared: Declared) -> None:
    found = found_in(table(acc=[0.5, None, 0.75]), declared, "seed")
    assert places(found) == [("lr=0.01", 0), ("lr=0.1", 0)]


def test_a_course_is_a_curve_with_the_value_at_its_end(declared: Declared) -> None:
    plain = table()
    points = [("row 0", "acc", 1, 0.25), ("row 0", "acc", 2, 0.5), ("row 1", "acc", 1, 0.5)]
    curves = pd.DataFrame(points, columns=["row", "metric", "step", "value"])
    found = found_in(
        Table(plain.frame, plain.name, plain.checksum, plain.rows, curves), declared, "seed"
    )
    first, second = recorded(found)
    assert (dict(first.metrics), first.curves) == ({}, {"acc": ((1, 0.25), (2, 0.5))})
    assert (dict(second.metrics), second.curves) == ({"acc": float("inf")}, {})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lr": [0.1, 0.1, 0.2]}, "column 'lr': unknown level '0.2' of study s; nearest: '0.1'"),
        ({"lr": [0.1] * 3}, "row 0 and row 2 are both lr=0.1, seed=11"),
        ({"lr": [0.1] * 4, "seed": [1, 2, 3, 4], "acc": [1] * 4},
         "row 3: lr=0.1: study s has no such cell, or no more than 3 replicates of it"),
        ({"acc": ["high", 1, 1]}, "column 'acc', row 0: expected a number, found 'high'"),
    ],
)  # fmt: skip
def test_a_row_that_is_no_run_is_refused(
    declared: Declared, changes: dict[str, list[Any]], said: str
) -> None:
    given = {**ROWS, **changes}
    with pytest.raises(ConfigurationError) as refusal:
        found_in(of_frame(pd.DataFrame(given), "theirs.csv"), declared, "seed")
    assert said in str(refusal.value)
    with pytest.raises(ConfigurationError, match="no column 'acc'"):
        found_in(of_frame(pd.DataFrame({"lr": [0.1], "ac": [1]})), declared, "")
