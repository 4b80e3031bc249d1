"""The ledger: every printed value bound, read strictly, and without a part in any run's key."""

from __future__ import annotations

import copy
import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ablation_lab.data import DATASETS
from ablation_lab.errors import ConfigurationError
from ablation_lab.study.declare import declaration_of, declare
from ablation_lab.study.grid import expand
from ablation_lab.study.metric import CHECKS
from ablation_lab.study.references import (
    ReferenceValue,
    ValueKind,
    bind,
    read_references,
    references_text,
    with_references,
)
from ablation_lab.study.schema import Study, parse_study
from experiments import checks  # which registers them

CONF = Path(__file__).resolve().parents[2] / "conf"
CLAIM: dict[str, Any] = {
    "kind": "dist",
    "about": "an accuracy",
    "printed": 0.75,
    "study": "small",
    "cell": {"width": "large"},
    "data": "xor",
    "metric": "train_accuracy",
}


def loaded(group: str) -> dict[str, Any]:
    return {path.stem: yaml.safe_load(path.read_text()) for path in (CONF / group).glob("*.yaml")}


@pytest.fixture(scope="module")
def ledger() -> tuple[ReferenceValue, ...]:
    return bind(read_references(loaded("references")), loaded("study"))


@pytest.fixture(scope="module")
def studies(ledger: tuple[ReferenceValue, ...]) -> dict[str, Study]:
    found = loaded("study")
    return {
        name: with_references(parse_study(name, value[name]), ledger)
        for name, value in found.items()
    }


def read(**changes: Any) -> ReferenceValue:
    value = {name: entry for name, entry in {**CLAIM, **changes}.items() if entry is not None}
    (claim,) = read_references({"deck": {"source": "a deck", "values": {"one": value}}})
    return claim


def test_the_whole_list_is_there_and_bound(ledger: tuple[ReferenceValue, ...]) -> None:
    assert len(ledger) == len({claim.claim_id for claim in ledger}) == 241
    assert len({claim.source for claim in ledger}) == 5
    assert all(bool(claim.study) != bool(claim.not_attempted) for claim in ledger)
    page = (CONF.parent / "docs" / "reference-values.md").read_text(encoding="utf-8")
    printed = sum(claim.numbers > 0 for claim in ledger)
    assert f"{len(ledger)} entries are the example: {printed} of them print numbers" in page
    assert Counter(claim.kind.value for claim in ledger) == {
        "exact": 88, "converged": 7, "dist": 77, "unspecified": 16, "erratum": 6, "cited": 47,
    }  # fmt: skip


def test_every_claim_finds_its_cell_under_some_profile(
    ledger: tuple[ReferenceValue, ...], studies: dict[str, Study]
) -> None:
    bound = set()
    for study in studies.values():
        for profile in study.budgets:
            claims = declaration_of(declare(study, profile), {}).references
            bound |= {entry.claim_id for entries in claims.values() for entry in entries}
    assert bound == {claim.claim_id for claim in ledger if claim.study}


def test_what_is_called_printed_is_counted_and_what_follows_from_it_is_not() -> None:
    assert read(printed={1: 0.5, 2: 0.25, 3: 0.125}, updates_per_epoch=10).numbers == 3
    assert read(printed="0.7708 / 0.7694 alternating", compare=0.7701).numbers == 2
    assert read(printed="trains well with ReLU", compare=[1, 2]).values == (1, 2)
    assert read(printed="trains well with ReLU", compare=[1, 2]).numbers == 0
    assert read(printed=None, compare=8).numbers == 0


def test_no_exact_claim_is_left_out(ledger: tuple[ReferenceValue, ...]) -> None:
    exact = [claim for claim in ledger if claim.kind is ValueKind.EXACT]
    lost = {claim.claim_id for claim in exact if claim.not_attempted}
    assert lost == {"s1-diabetes-csv-rows"}  # whose numbers are not at hand
    assert {claim.study for claim in exact if not claim.not_attempted} == {"computed", "data_facts"}


def test_every_check_is_a_cell_and_no_other(studies: dict[str, Study]) -> None:
    cells = [
        cell.config["check"]["name"]
        for name in ("computed", "data_facts")
        for cell in expand(studies[name], "quick")
    ]
    assert checks
    assert sorted(cells) == sorted(CHECKS.names())


def test_what_a_profile_changes_the_data_of_names_its_data(studies: dict[str, Study]) -> None:
    for study in studies.values():
        if {"computed", "data_facts"} & {study.name}:
            continue
        assert all(claim.data in DATASETS.names() for claim in study.references)


def test_claims_enter_no_key(studies: dict[str, Study]) -> None:
    study = studies["xor_depth"]
    assert study.references
    keys = [run.key for run in declare(study, "smoke").runs]
    bare = study.model_copy(update={"references": ()})
    assert [run.key for run in declare(bare, "smoke").runs] == keys


def test_an_ensemble_is_not_answered_by_its_members(studies: dict[str, Study]) -> None:
    bound = declaration_of(declare(studies["ladder"], "paper"), {}).references
    assert [entry.claim_id for entry in bound["step=ensemble"]] == ["s0-cnn-ensemble-acc"]
    assert "step=ensemble,members" not in bound


def test_claims_bind_only_to_the_data_that_they_name(studies: dict[str, Study]) -> None:
    assert declaration_of(declare(studies["ladder"], "quick"), {}).references == {}


@pytest.mark.parametrize(
    ("printed", "more", "values", "updates"),
    [
        (0.75, {}, (0.75,), ()),
        ([1, 2.5], {}, (1.0, 2.5), ()),
        ({0: 0.9, 2000: 0.1}, {}, (0.9, 0.1), (1, 2001)),
        ({1: 0.9, 16: 0.1}, {"updates_per_epoch": 550}, (0.9, 0.1), (550, 8800)),
        ([0.5, 0.5], {"compare": 0.6931472}, (0.6931472,), ()),
        ("n/c", {}, (), ()),
        (None, {}, (), ()),
    ],
)
def test_what_is_compared(
    printed: Any, more: dict[str, Any], values: tuple[float, ...], updates: tuple[int, ...]
) -> None:
    claim = read(printed=printed, **more)
    assert (claim.values, claim.updates) == (values, updates)


def test_a_compared_cost_follows_from_the_printed_hypothesis(
    ledger: tuple[ReferenceValue, ...],
) -> None:
    followed = [
        claim for claim in ledger if "hypothesis" in claim.about and claim.study.startswith("xor")
    ]
    assert len(followed) >= 9
    for claim in followed:
        cost = -sum(
            math.log(h if y else 1 - h) for h, y in zip(claim.written, (0, 1, 1, 0), strict=True)
        )
        assert claim.values == pytest.approx((cost / 4,), rel=1e-6)  # seven digits are kept


def test_a_check_is_a_cell_of_whichever_study_has_it() -> None:
    read_one = read(study=None, cell=None, data=None, metric=None, check="and_gate")
    gates = {"factors": {"check": {"key": "check.name", "levels": ["or_gate", "and_gate"]}}}
    studies = {"others": {"others": {"factors": {}}}, "gates": {"gates": gates}, "wrong": None}
    (value,) = bind([read_one], studies)
    assert (value.study, value.cell, value.metric) == ("gates", {"check": "and_gate"}, "value")
    with pytest.raises(ConfigurationError, match="unknown check 'and_gate'; known: none"):
        bind([read_one], {"wrong": None})


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("key", {"prined": 1}, "values.one: unknown key 'prined'; nearest: 'printed'"),
    ("kind", {"kind": "dits"}, "values.one.kind: unknown value 'dits'; nearest: 'dist'"),
    ("unbound", {"study": None, "cell": None}, "values.one: expected one of 'check'"),
    ("both", {"not_attempted": "no"}, "values.one: expected one of 'check'"),
    ("two bindings", {"check": "a"}, "values.one: expected 'check' or 'study'"),
    ("no cell", {"cell": None}, "values.one: required key 'cell' is missing"),
    ("values", {"printed": [0.5, "x"]}, "values.one.printed: expected numbers"),
    ("truth", {"printed": True}, "values.one.printed: expected numbers, found True"),
    ("among", {"among": "sloved"}, "values.one.among: unknown value 'sloved'; nearest"),
    ("tolerance", {"kind": "exact"}, "values.one.tolerance: expected one with its reas"),
    (
        "reason",
        {"kind": "exact", "tolerance": {"absolute": 1}},
        "values.one.tolerance: required key 'why' is missing",
    ),
    (
        "slacks",
        {"kind": "exact", "tolerance": {"absolute": [1, 2], "why": "so"}},
        "values.one.tolerance.absolute: expected one number or one for each of the 1",
    ),
]


@pytest.mark.parametrize(("changes", "line"), [row[1:] for row in BAD], ids=[r[0] for r in BAD])
def test_a_wrong_claim_is_one_line(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        read(**changes)
    assert str(error.value).startswith(f"references/deck.yaml: {line}")
    assert "\n" not in str(error.value)


def test_a_claim_stands_once() -> None:
    file = {"source": "a deck", "values": {"one": CLAIM}}
    with pytest.raises(ConfigurationError, match="value 'one' stands twice"):
        read_references({"deck": file, "other": copy.deepcopy(file)})


def test_a_study_that_nobody_declares_is_named() -> None:
    with pytest.raises(ConfigurationError, match="unknown study 'small'; nearest: 'smal'"):
        bind([read()], {"smal": None, "other": None})


def test_a_lost_cell_is_named(new_declaration: Callable[[], dict[str, Any]]) -> None:
    study = parse_study("small", new_declaration())
    assert with_references(study, [read()]).references == (read(),)
    with pytest.raises(ConfigurationError, match=r"one: cell\.width: unknown level 'lage'"):
        with_references(study, [read(cell={"width": "lage"})])
    with pytest.raises(ConfigurationError, match=r"one: cell: unknown factor 'depth'"):
        with_references(study, [read(cell={"depth": 2})])


def test_the_stored_ledger_is_whole(ledger: tuple[ReferenceValue, ...]) -> None:
    stored = json.loads(references_text(ledger))
    assert [entry["claim_id"] for entry in stored] == [claim.claim_id for claim in ledger]
    assert all(entry["source"] and entry["about"] and entry["kind"] for entry in stored)
