"""The grid is counted: nothing twice, nothing lost, ensembles bound to disjoint members."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ablation_lab.errors import ConfigurationError
from ablation_lab.study.declare import declaration_of, declare
from ablation_lab.study.grid import Cell, expand
from ablation_lab.study.schema import Study, parse_study

CONF = Path(__file__).resolve().parents[2] / "conf"
Cells = Callable[[dict[str, Any]], list[Cell]]
Declare = Callable[[], dict[str, Any]]


def read_study(name: str) -> Study:
    return parse_study(name, yaml.safe_load((CONF / "study" / f"{name}.yaml").read_text())[name])


@pytest.fixture
def cells_of() -> Cells:
    """Return a function from a declaration to its cells under the profile smoke."""
    return lambda value: list(expand(parse_study("small", value), "smoke"))


@pytest.mark.parametrize(
    ("name", "profile", "cells"),
    [
        # depth 1 has no hidden unit, so no activation: 3 + 4 × 2 × 3
        ("xor_depth", "quick", 27),
        # two of them excluded
        ("init_activation", "quick", 35),
        ("init_activation", "smoke", 4),
        ("dropout", "quick", 12),
        ("dropout", "smoke", 2),
        ("ensemble", "paper", 16),
        ("ensemble", "smoke", 3),
        # eight steps, and the cell that trains the members of the last
        ("ladder", "paper", 9),
    ],
)
def test_counted(name: str, profile: str, cells: int) -> None:
    assert len(expand(read_study(name), profile)) == cells


def test_one_at_a_time_keeps_the_full_model_and_single_changes(
    declaration: dict[str, Any], cells_of: Cells
) -> None:
    declaration["factors"]["width"]["levels"]["huge"] = {"model.widths": [9]}
    declaration["factors"]["bias"] = {"key": "model.bias_init", "levels": ["zeros"]}
    declaration |= {
        "design": "one_at_a_time",
        "baseline": {"width": "large", "activation": "relu"},
    }
    assert [cell.name for cell in cells_of(declaration)] == [
        "width=small,activation=relu,bias=zeros",
        "width=large,activation=sigmoid,bias=zeros",
        "width=large,activation=relu,bias=zeros",
        "width=huge,activation=relu,bias=zeros",
    ]


def test_design_and_band_are_declared_and_change_no_key(declaration: dict[str, Any]) -> None:
    plain = declare(parse_study("small", declaration), "smoke")
    changed = parse_study("small", {**declaration, "equivalence": 0.01})
    other = declare(changed, "smoke")
    assert [run.key for run in other.runs] == [run.key for run in plain.runs]
    made = declaration_of(other, {})
    assert (made.design, made.equivalence) == ("factorial", 0.01)


@pytest.mark.parametrize(
    ("selection", "settings", "declared"),
    [
        ("last_epoch", {}, "last_epoch"),
        ("best_on_validation", {}, "best_on_validation"),
        ("early_stopped", {"training.patience": 3}, "early_stopped"),
        ("last_epoch", {"training.patience": 3}, "early_stopped"),
    ],
)
def test_the_selection_rule_is_part_of_a_run_and_of_its_declaration(
    declaration: dict[str, Any], selection: str, settings: Any, declared: str
) -> None:
    declaration["profiles"]["smoke"]["overrides"] = {"data.name": "digits", **settings}
    declaration["selection"] = selection
    made = declare(parse_study("small", declaration), "smoke")
    assert declaration_of(made, {}).selection == declared
    plain = declare(parse_study("small", {**declaration, "selection": "last_epoch"}), "smoke")
    same = {run.key for run in made.runs} == {run.key for run in plain.runs}
    assert same is (selection != "best_on_validation")


def test_cells_may_follow_different_rules(declaration: dict[str, Any]) -> None:
    declaration["profiles"]["smoke"]["overrides"] = {"data.name": "digits"}
    declaration["factors"]["stop"] = {"levels": {"no": {}, "early": {"training.patience": 2}}}
    made = declare(parse_study("small", declaration), "smoke")
    assert declaration_of(made, {}).selection == "by_cell"


@pytest.mark.parametrize(
    ("selection", "data", "words"),
    [
        ("early_stopped", "digits", "selection early_stopped needs training.patience"),
        ("best_on_validation", "xor", "which for 'xor' is the test set; expected data"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(
    declaration: dict[str, Any], selection: str, data: str, words: str
) -> None:
    declaration["profiles"]["smoke"]["overrides"] = {"data.name": data}
    declaration["selection"] = selection
    with pytest.raises(ConfigurationError, match=words):
        declare(parse_study("small", declaration), "smoke")


def test_order_and_names_are_those_of_the_declaration(
    declaration: dict[str, Any], cells_of: Cells
) -> None:
    assert [cell.name for cell in cells_of(declaration)] == [
        "width=small,activation=sigmoid",
        "width=small,activation=relu",
        "width=large,activation=sigmoid",
        "width=large,activation=relu",
    ]


def test_levels_reach_the_configuration(declaration: dict[str, Any], cells_of: Cells) -> None:
    declaration["profiles"]["smoke"]["overrides"] = {"training.steps": 5}
    last = cells_of(declaration)[-1]
    assert last.config["model"]["widths"] == [5]
    assert last.config["model"]["activation"] == "relu"
    assert last.config["training"]["steps"] == 5


def test_a_profile_adjusts_some_cells(declaration: dict[str, Any], cells_of: Cells) -> None:
    declaration["profiles"]["smoke"]["overrides"] = {"training.steps": 5}
    adjusted = {"where": {"width": "large"}, "overrides": {"training.steps": 9}}
    declaration["profiles"]["smoke"]["adjustments"] = [adjusted]
    steps = [cell.config["training"]["steps"] for cell in cells_of(declaration)]
    assert steps == [5, 5, 9, 9]


def test_a_factor_that_does_not_apply_is_absent(
    declaration: dict[str, Any], cells_of: Cells
) -> None:
    declaration["factors"]["activation"]["when"] = {"width": "large"}
    cells = cells_of(declaration)
    assert [dict(cell.factors) for cell in cells] == [
        {"width": "small"},
        {"width": "large", "activation": "sigmoid"},
        {"width": "large", "activation": "relu"},
    ]


def test_when_of_an_absent_factor_fails(declaration: dict[str, Any], cells_of: Cells) -> None:
    declaration["factors"]["activation"]["when"] = {"width": "large"}
    declaration["factors"]["init"] = {
        "key": "model.init",
        "levels": ["normal", "he_normal"],
        "when": {"activation": ["sigmoid", "relu"]},
    }
    assert len(cells_of(declaration)) == 1 + 2 * 2


def test_excluded_cells_stay_with_their_reason(
    declaration: dict[str, Any], cells_of: Cells
) -> None:
    declaration["exclude"] = [
        {"where": {"width": "large", "activation": "relu"}, "reason": "too slow"},
        {"where": {"activation": "relu"}, "reason": "second"},
    ]
    cells = cells_of(declaration)
    assert [cell.reason for cell in cells] == ["", "second", "", "too slow"]
    declared = declare(parse_study("small", declaration), "smoke")
    assert {run.cell for run in declared.runs} == {cells[0].name, cells[2].name}
    excluded = declaration_of(declared, {}).excluded
    assert [entry.reason for entry in excluded] == ["second", "too slow"]


def test_a_profile_restricts_levels(declaration: dict[str, Any], cells_of: Cells) -> None:
    declaration["factors"]["activation"]["when"] = {"width": "large"}
    declaration["profiles"]["smoke"]["levels"] = {"activation": ["relu"]}
    # The restriction says nothing about cells without an activation.
    assert [dict(cell.factors) for cell in cells_of(declaration)] == [
        {"width": "small"},
        {"width": "large", "activation": "relu"},
    ]


def test_an_ensemble_cannot_ask_for_runs(declaration: dict[str, Any]) -> None:
    study = ensembles(declaration, [1, 2], 4)
    study["baseline"] = {"size": 1}
    looks = {"at_least": 4, "at_most": 8, "until": "decided"}
    study["profiles"]["smoke"]["replicates"] = looks
    with pytest.raises(ConfigurationError, match="size=2: an ensemble combines the runs of anoth"):
        expand(parse_study("small", study), "smoke")


def ensembles(declaration: dict[str, Any], sizes: list[int], replicates: int) -> dict[str, Any]:
    """Turn the small study into one of ensembles on the digits."""
    declaration["run"]["data"] = {"name": "digits"}
    del declaration["factors"]["activation"], declaration["baseline"]
    declaration["factors"] = {"size": {"key": "ensemble.size", "levels": sizes}}
    declaration["profiles"]["smoke"]["replicates"] = replicates
    return declaration


@given(sizes=st.lists(st.integers(1, 9), unique=True, min_size=1), replicates=st.integers(1, 20))
def test_ensembles_have_disjoint_groups_of_real_members(
    new_declaration: Declare, sizes: list[int], replicates: int
) -> None:
    study = parse_study("small", ensembles(new_declaration(), sizes, replicates))
    declared = declare(study, "smoke")
    trained = {run.key: run for run in declared.runs if not run.is_ensemble}
    for size in sizes:
        runs = [run for run in declared.runs if run.factors["size"] == str(size)]
        groups = [run.members for run in runs if run.is_ensemble]
        members = list(itertools.chain.from_iterable(groups))
        assert len(members) == len(set(members))
        assert all(trained[key].keep_logits for key in members)
        if size > 1:
            assert len(groups) == max(1, replicates // size)
            assert {len(group) for group in groups} == {size}


def test_members_of_a_study_without_their_cell_are_an_implicit_cell() -> None:
    cells = expand(read_study("ladder"), "paper")
    ensemble, members = cells[-2:]
    assert ensemble.factors == {"step": "ensemble"}
    assert (ensemble.ensemble_size, ensemble.replicates) == (7, 1)
    assert ensemble.member_cell == members.name
    assert members.implicit
    assert members.has_ensembles
    assert members.replicates == 7
    assert "ensemble" not in members.config


def test_an_excluded_cell_lends_no_members(declaration: dict[str, Any]) -> None:
    value = ensembles(declaration, [1, 3], 3)
    value["exclude"] = [{"where": {"size": 1}, "reason": "not wanted"}]
    declared = declare(parse_study("small", value), "smoke")
    ensemble = next(run for run in declared.runs if run.is_ensemble)
    assert {run.key for run in declared.runs} >= set(ensemble.members)
    assert declared.cells[-1].implicit


def test_the_pool_grows_to_what_ensembles_need(
    declaration: dict[str, Any], cells_of: Cells
) -> None:
    single, triple = cells_of(ensembles(declaration, [1, 3], 2))
    # Two replicates are fewer than one group of three.
    assert (single.replicates, triple.replicates) == (3, 1)


def test_replicates_come_round_by_round(declaration: dict[str, Any]) -> None:
    declared = declare(parse_study("small", declaration), "smoke")
    assert [run.replicate for run in declared.runs] == [0] * 4 + [1] * 4
    assert len({run.key for run in declared.runs}) == 8


KEYS = ("optimizer.learning_rate", "training.l2", "training.batch_size", "data.train_size")


@given(counts=st.lists(st.integers(1, 4), min_size=1, max_size=4), conditional=st.booleans())
def test_the_number_of_cells_is_the_product_of_the_applying_levels(
    new_declaration: Declare, counts: list[int], conditional: bool
) -> None:
    value = new_declaration()
    del value["baseline"]
    value["factors"] = {
        f"factor{index}": {"levels": {f"level{n}": {key: n + 1} for n in range(count)}}
        for index, (count, key) in enumerate(zip(counts, KEYS, strict=False))
    }
    expected = 1
    for count in counts:
        expected *= count
    if conditional and len(counts) > 1:
        # The last factor applies at the first level of the first factor only.
        value["factors"][f"factor{len(counts) - 1}"]["when"] = {"factor0": "level0"}
        rest = expected // counts[0] // counts[-1]
        expected = rest * counts[-1] + rest * (counts[0] - 1)
    cells = expand(parse_study("small", value), "smoke")
    assert len(cells) == expected
    assert len({tuple(cell.factors.items()) for cell in cells}) == expected


def test_many_changes_of_one_model_are_as_many_cells(declaration: dict[str, Any]) -> None:
    names = [f"p{number}" for number in range(60)]
    declaration["factors"] = {name: {"levels": {"kept": {}, "out": {}}} for name in names}
    declaration |= {"baseline": dict.fromkeys(names, "kept"), "design": "one_at_a_time"}
    cells = expand(parse_study("small", declaration), "smoke")
    assert [[*cell.factors.values()].count("out") for cell in cells] == [0, *60 * [1]]
