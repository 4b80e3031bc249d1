"""Every printed accuracy in one table, and what each study says of its printed values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from ablation_lab.report.reference_tables import accuracies, bound_sentence, is_accuracy, percent
from ablation_lab.report.reference_values import answers
from ablation_lab.report.study import Study
from ablation_lab.report.told import Answer
from ablation_lab.statistics.intervals import Interval, mean_interval
from ablation_lab.statistics.reference_values import Verdict, Word
from ablation_lab.study.references import bind, read_references, read_stored, references_text
from tests.conftest import CONF
from tests.report.golden_store import reference

OURS = Interval(0.9722, 0.9713, 0.9731, 9, "BCa bootstrap")


def answer(
    claim_id: str, *, ours: Interval | None = None, not_converged: int = 0, **changes: Any
) -> Answer:
    made = {"claim_id": claim_id, "kind": "dist", "about": "a net: test accuracy"}
    read = reference(**{**made, "text": "0.9769", "values": [0.9769], **changes})
    lost = Verdict(Word.NOT_ATTEMPTED, "the data is lost")
    word = Verdict(Word.CONSISTENT, "rank") if ours else lost
    return Answer(read, "some", word, ours or mean_interval([]), not_converged)


def test_a_row_has_the_printed_value_ours_the_interval_and_the_verdict() -> None:
    found = (
        answer("a", ours=OURS, not_converged=1),
        answer("b", text="0.5"),
        answer("c", text="n/c", values=[]),
    )
    ledger = [each.reference for each in reversed(found)]
    made = accuracies(found, ledger)
    assert made is not None
    texts = [[entry.text for entry in row] for row in made.rows]
    assert texts == [
        ["c", "a net: test accuracy", "n/c", "–", "–", "0", "not attempted", "some"],
        ["b", "a net: test accuracy", "50", "–", "–", "0", "not attempted", "some"],
        ["a", "a net: test accuracy", "97.69", "97.22", "[97.13, 97.31]", "9, 1 not converged",
         "consistent", "some"],
    ]  # fmt: skip
    assert made.notes == ("the data is lost",)
    assert [row[6].notes for row in made.rows] == [(1,), (1,), ()]


def test_without_one_of_ours_there_is_no_table() -> None:
    assert accuracies((answer("a"),), ()) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"about": "a net: cost"}, False),
        ({"values": [0.1, 0.2], "updates": [1, 2]}, False),
        ({"text": "–", "values": []}, False),
        ({"text": "", "values": []}, False),
    ],
)
def test_which_claims_are_printed_accuracies(changes: dict[str, Any], expected: bool) -> None:
    assert is_accuracy(answer("a", **changes).reference) is expected


def test_percent_keeps_the_digits_of_the_source() -> None:
    assert percent("0.9750") == "97.50"
    assert percent("1.0") == "100"
    assert percent("0.7708 / 0.7694 alternating") == "77.08 / 76.94 alternating"
    assert percent("n/c") == "n/c"


def test_the_ledger_calls_an_accuracy_what_an_accuracy_answers() -> None:
    files = {group: sorted((CONF / group).glob("*.yaml")) for group in ("references", "study")}
    read = {g: {p.stem: yaml.safe_load(p.read_bytes()) for p in f} for g, f in files.items()}
    metrics = {name: content[name]["metric"] for name, content in read["study"].items()}
    bound_ones = bind(read_references(read["references"]), read["study"])
    ledger = read_stored(references_text(bound_ones), "conf/references")
    bound = [each for each in ledger if each.study and not each.updates and each.shown]
    ends = ("accuracy", "not_converged")  # the printed n/c stands where an accuracy would
    by_metric = {e.claim_id for e in bound if (e.metric or metrics[e.study]).endswith(ends)}
    assert len(by_metric) > 50
    assert by_metric == {each.claim_id for each in bound if is_accuracy(each)}


def test_a_study_names_the_printed_values_that_it_answers(studies: dict[str, Study]) -> None:
    said = bound_sentence(answers([studies["ladder"]]))
    assert "s1-mlp (0.5) differs" in said
    assert "s1-dropout" in said
    assert bound_sentence(()) == ""


def test_of_many_printed_values_only_those_apart_are_spelled_out() -> None:
    many = [answer(f"c{i}", ours=OURS) for i in range(30)]
    many[7] = replace(many[7], verdict=Verdict(Word.NOT_DECIDABLE, "rank", needs=39))
    said = bound_sentence(many)
    assert said == (
        "30 values: 29 consistent, 1 not decidable (n ≥ 39). c7 (0.9769) not decidable (n ≥ 39)."
    )
