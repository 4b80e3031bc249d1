"""`ablation gate`: one line of JSON, the same from the same store, its levels kept under seal."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.lab import ONE_WORKER, Call, Lab, Outcome
from tests.runner.test_looks import study

UNTIL = {"smoke": {"replicates": {"at_least": 8, "at_most": 16, "until": "decided"}}}
CALL = ("--alpha-ledger", "loop", "profile=smoke", ONE_WORKER)


@dataclass(frozen=True)
class Asked:
    """A lab, how it is asked, and its first answer."""

    lab: Lab
    call: Call
    first: Outcome

    def gate(self, *words: str) -> Outcome:
        return gate(self.call, self.lab.folder, *words)

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.lab.folder / "runs" / "queue.db") as queue:
            found = queue.execute("SELECT * FROM ablation_alpha ORDER BY sequence").fetchall()
        queue.close()
        return found


def gate(call: Call, folder: Path, *words: str) -> Outcome:
    for name in ("stdout", "stderr"):
        (folder / name).unlink(missing_ok=True)
    return call(folder, "gate", *words, *CALL)


def answer(outcome: Outcome) -> dict[str, Any]:
    assert outcome.out.count("\n") == 1, outcome
    return json.loads(outcome.out)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, forked_call: Call) -> Asked:
    """A lab whose gate has accepted a wider network, a file that is no study of the project."""
    lab = Lab(tmp_path_factory.mktemp("gate"))
    lab.declare("widths", study(profiles=UNTIL))
    lab.declare("short", study(profiles={"smoke": {"replicates": 5}}))
    proposal = study(profiles=UNTIL, baseline={"width": "few"})
    del proposal["factors"]["width"]["levels"]["more"]
    (lab.folder / "wider.yaml").write_text(yaml.safe_dump({"wider": proposal}))
    return Asked(lab, forked_call, gate(forked_call, lab.folder, "wider.yaml"))


def test_a_candidate_that_is_better_is_accepted_after_as_few_runs_as_it_takes(
    asked: Asked,
) -> None:
    assert asked.first.status == 0, asked.first.err
    said = answer(asked.first)
    assert (said["answer"], said["n"], said["proposal"]) == ("accept", 8, 1)
    assert said["gain"] > 0.2
    assert said["p"] <= said["level"] < 0.025
    assert len(asked.lab.runs("wider")) == 16


def test_what_is_as_good_takes_more_or_is_rejected_and_an_answer_stands(asked: Asked) -> None:
    words = ("widths:width=more", "--against", "widths:width=many")
    few = asked.gate(*words, "now.replicates=3")
    assert few.status == 3, few.err
    assert (answer(few)["answer"], answer(few)["more"]) == ("more", 5)
    assert sorted({run.cell for run in asked.lab.runs("widths")}) == ["width=many", "width=more"]
    whole = asked.gate(*words)
    assert whole.status == 1, whole.err
    assert (answer(whole)["answer"], answer(whole)["proposal"]) == ("reject", 2)
    # The level of what was accepted just before goes to the next one.
    assert answer(whole)["level"] > answer(asked.first)["level"]
    before = len(asked.lab.runs("widths"))
    assert asked.gate(*words).out == whole.out
    assert asked.gate("wider.yaml").out == asked.first.out
    assert len(asked.lab.runs("widths")) == before


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("nowhere.yaml",), "study: no file "),
        (("widths",), "study/widths.yaml: expected one cell, found 2; say which one: STUDY:CELL"),
        (("widths:width=fwe",), "no cell 'width=fwe'; nearest: 'width=few'"),
        (("wider.yaml", "--metric", "test_acuracy"), "unknown metric 'test_acuracy'; nearest:"),
        (("widths:width=few", "--against", "gain:size=1"), "as many replicates as study/widths"),
        (("short:width=few",), "replicates, found 5; raise them, as with"),
        ((), "command line: expected one STUDY[:CELL]|FILE.yaml[:CELL], found none"),
    ],
)
def test_what_cannot_be_compared_is_one_line_and_spends_nothing(
    asked: Asked, words: tuple[str, ...], line: str
) -> None:
    before = asked.rows
    refused = asked.gate(*words)
    assert (refused.status, refused.out) == (2, "")
    assert refused.err.count("\n") == 1
    assert line in refused.err
    assert asked.rows == before


def test_history_that_was_changed_is_noticed(asked: Asked, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.copy_store(asked.lab)
    (lab.folder / "wider.yaml").write_text((asked.lab.folder / "wider.yaml").read_text())
    with sqlite3.connect(lab.folder / "runs" / "queue.db") as queue:
        queue.execute("UPDATE ablation_alpha SET event = 'reject' WHERE event = 'accept'")
    queue.close()
    refused = gate(asked.call, lab.folder, "wider.yaml")
    assert refused.status == 2
    assert "ledger 'loop': entry 1 is not as it was written" in refused.err
