"""The protocol: sealed before the first run, amended by every later change, and by nothing else."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from ablation_lab.store.declared import protocols
from ablation_lab.store.write import Tracker
from ablation_lab.study.declare import declaration_of, declare
from ablation_lab.study.protocol import MOST_CHANGES, Entry, next_entry, protocol_of, terms_of
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run, TrainerName
from ablation_lab.study.schema import parse_study

Declare = Callable[..., dict[str, Any]]


@pytest.fixture
def declared(new_declaration: Callable[[], dict[str, Any]]) -> Declare:
    """Return a function that gives what a runner declares of the small study, with changes."""

    def make(*, replicates: int = 2, commit: str = "c0ffee", **changes: Any) -> dict[str, Any]:
        content = {**new_declaration(), **changes}
        content["profiles"] = {"smoke": {"replicates": replicates}}
        study = declare(parse_study("small", content), "smoke")
        return declaration_of(study, {"commit": commit}).model_dump(mode="json")

    return make


def grown(*declarations: dict[str, Any]) -> list[Entry]:
    """Return the entries that these declarations leave, one after the other."""
    entries: list[Entry] = []
    for number, declaration in enumerate(declarations):
        entry = next_entry(
            random.Random(0).sample(entries, len(entries)),
            declaration,
            time=f"2026-11-30T10:{number:02}:00+00:00",
            finished=lambda number=number: 3 * number,
        )
        entries += [entry] if entry else []
    return entries


def test_the_first_declaration_is_sealed_and_the_same_again_changes_nothing(
    declared: Declare,
) -> None:
    entries = grown(declared(), declared(), declared(commit="beef", title="Another title"))
    assert len(entries) == 1
    protocol = protocol_of(entries)
    assert protocol is not None
    assert protocol.amendments == ()
    digest = entries[0].digest[:12]
    assert protocol.sentences == (
        "Question, comparisons, baseline, rules, bands, tolerances and replicates were fixed "
        f"beforehand: sealed on 2026-11-30 10:00 UTC (sha256 {digest}, commit c0ffee), before any "
        "run had finished.",
    )


def test_a_band_and_replicates_that_change_are_amendments_with_what_was_seen(
    declared: Declare,
) -> None:
    banded = declared(equivalence=0.01)
    more = declared(equivalence=0.02, replicates=5)
    protocol = protocol_of(grown(declared(), banded, banded, more, declared()))
    assert protocol is not None
    assert [str(each) for each in protocol.amendments] == [
        "Amended on 2026-11-30 10:01 UTC, after 3 runs had finished: "
        "equivalence from none to 0.01.",
        "Amended on 2026-11-30 10:03 UTC, after 9 runs had finished: "
        "equivalence from 0.01 to 0.02; replicates from 2 to 5.",
        # Back to what was sealed is a change like any other.
        "Amended on 2026-11-30 10:04 UTC, after 12 runs had finished: "
        "equivalence from 0.02 to none; replicates from 5 to 2.",
    ]


@pytest.mark.parametrize(
    ("changes", "term"),
    [
        ({"question": "Does depth?"}, "question"),
        ({"baseline": {"width": "large"}}, "baseline"),
        ({"metrics": ["test_accuracy"]}, "metrics.test_accuracy.direction"),
        ({"design": "one_at_a_time", "baseline": {"width": "small", "activation": "relu"}},
         "design"),
        ({"exclude": [{"where": {"width": "large"}, "reason": "too slow"}]},
         "excluded.width=large,activation=relu.reason"),
    ],
)  # fmt: skip
def test_what_will_count_as_an_answer_is_a_term(
    declared: Declare, changes: dict[str, Any], term: str
) -> None:
    protocol = protocol_of(grown(declared(), declared(**changes)))
    assert protocol is not None
    (change, *more) = [
        change
        for amendment in protocol.amendments
        for change in amendment.changes
        if change.term == term
    ]
    assert change.before != change.now
    assert more == []


def test_many_changes_are_counted_and_a_seal_after_runs_says_so(declared: Declare) -> None:
    before, now = terms_of(declared()), {f"term {n}": str(n) for n in range(20)}
    entry = Entry(terms=before, time="2026-11-30T10:00", commit="a", finished=1)
    later = Entry(terms=now, time="2026-11-30T10:01", commit="b", finished=2, previous=entry.digest)
    protocol = protocol_of([later, entry])
    assert protocol is not None
    assert "were not fixed beforehand: they were sealed on" in protocol.sentences[0]
    assert protocol.sentences[0].endswith("after 1 run had finished.")
    assert f"; and {len(before) + 20 - MOST_CHANGES} more." in protocol.sentences[1]


@pytest.fixture
def tracker(store: str, tmp_path: Path) -> Tracker:
    return Tracker(store, tmp_path / "artifacts")


def sentences(store: str) -> tuple[str, ...]:
    return protocols(store, "smoke")["small"].sentences


def test_a_store_keeps_the_seal_and_every_amendment(
    store: str, tracker: Tracker, declared: Declare, make_run: Callable[..., Run]
) -> None:
    assert protocols(store, "smoke") == {}
    tracker.declare("small", "smoke", declared())
    assert sentences(store)[0].endswith("before any run had finished.")
    finished = Record(make_run(), Status.FINISHED, TrainerName.SINGLE)
    other = replace(finished, run=replace(make_run(), profile="quick", key="other"))
    failed = replace(finished, run=replace(make_run(), key="failed"), status=Status.FAILED)
    tracker.write([finished, other, failed])
    tracker.declare("small", "smoke", declared())
    assert len(sentences(store)) == 1
    tracker.declare("small", "smoke", declared(replicates=3))
    seal, amendment = sentences(store)
    assert "were fixed beforehand: sealed on" in seal
    assert amendment.endswith("after 1 run had finished: replicates from 2 to 3.")
    assert protocols(store, "quick") == {}


def test_two_runners_that_declare_the_same_write_one_entry(
    store: str, tmp_path: Path, declared: Declare
) -> None:
    runners = [Tracker(store, tmp_path / "artifacts") for _ in range(2)]
    for declaration in (declared(), declared(equivalence=0.1)):
        for runner in runners:
            runner.declare("small", "smoke", declaration)
    assert len(sentences(store)) == 2


def test_an_entry_that_was_changed_afterwards_is_said(
    store: str, tracker: Tracker, declared: Declare, tmp_path: Path
) -> None:
    tracker.declare("small", "smoke", declared())
    (entry,) = tmp_path.rglob("protocol/*.json")
    content = json.loads(entry.read_text())
    content["terms"]["equivalence"] = "0.5"
    entry.write_text(json.dumps(content))
    assert sentences(store)[0].endswith("but an entry of the protocol was changed afterwards.")
    assert "fixed beforehand" not in sentences(store)[0]


def test_an_entry_of_a_runner_that_died_in_it_is_written_again(
    store: str, tracker: Tracker, declared: Declare, tmp_path: Path
) -> None:
    tracker.declare("small", "smoke", declared())
    (entry,) = tmp_path.rglob("protocol/*.json")
    entry.write_text(entry.read_text()[:40])
    assert protocols(store, "smoke") == {}
    tracker.declare("small", "smoke", declared())
    assert "were fixed beforehand" in sentences(store)[0]
    runs = MlflowClient(store).search_runs(["1", "2"], "tags.`ablation.kind` = 'report'")
    assert len(runs) == 1
