"""What each cell is compared with, where the baseline names some of the factors only."""

from __future__ import annotations

from typing import Any

import pytest

from ablation_lab.study.declaration import Declaration
from ablation_lab.study.declare import declaration_of, declare
from ablation_lab.study.schema import parse_study


@pytest.fixture
def made(declaration: dict[str, Any]) -> Any:
    def make(baseline: dict[str, Any] | None) -> Declaration:
        changed = {key: value for key, value in declaration.items() if key != "baseline"}
        if baseline is not None:
            changed["baseline"] = baseline
        return declaration_of(declare(parse_study("small", changed), "smoke"), {})

    return make


def test_a_cell_is_held_against_the_one_that_shares_its_other_levels(made: Any) -> None:
    found = made({"width": "large"})
    assert found.baseline == "width=large,activation=sigmoid"
    assert found.baselines == {
        "width=small,activation=sigmoid": "width=large,activation=sigmoid",
        "width=small,activation=relu": "width=large,activation=relu",
        "width=large,activation=sigmoid": "width=large,activation=sigmoid",
        "width=large,activation=relu": "width=large,activation=relu",
    }


@pytest.mark.parametrize("baseline", [None, {"width": "large", "activation": "relu"}])
def test_one_cell_or_none_is_the_baseline_of_all(made: Any, baseline: Any) -> None:
    assert made(baseline).baselines == {}


def test_a_factor_counts_where_it_applies_to_both(declaration: dict[str, Any], made: Any) -> None:
    declaration["factors"]["activation"]["when"] = {"width": ["large"]}
    # The small cell has no activation: both large ones could stand beside it, so none does.
    assert made({"width": "large"}).baselines == {
        "width=large,activation=sigmoid": "width=large,activation=sigmoid",
        "width=large,activation=relu": "width=large,activation=relu",
    }
    assert made({"width": "small"}).baselines == {}


def test_a_baseline_changes_no_key(declaration: dict[str, Any]) -> None:
    keys = [
        [run.key for run in declare(parse_study("small", value), "smoke").runs]
        for value in (declaration, {**declaration, "baseline": {"activation": "relu"}})
    ]
    assert keys[0] == keys[1]
