"""What was declared and not trained stays a row of the report, with the reason and the command."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

from ablation_lab.report.cross_study import untrained, untrained_sentence, untrained_table
from ablation_lab.report.reference_values import answers
from ablation_lab.report.report import write_report
from ablation_lab.report.study import Study
from ablation_lab.study.project import Listed
from tests.report.golden_store import reference

LISTED = (
    Listed("deep", "quick", "Deep networks", "How deep?", needs="an accelerator", runs=69),
    Listed("xor_depth", "quick", "In the store", "Known?", runs=1),
    Listed("late", "quick", "Later", "When?", runs=7),
    Listed("only_paper", "paper", "Elsewhere", "Where?", runs=5, asked=False),
    Listed("typo", "quick", "typo", problem="study/typo.yaml: unknown key 'x'"),
)


def test_each_study_without_results_is_a_row_with_reason_and_command(
    studies: dict[str, Study],
) -> None:
    ladder = studies["ladder"]
    needing = replace(
        ladder, declaration=ladder.declaration.model_copy(update={"needs": "patience"})
    )
    rows = {row.study: row for row in untrained([needing, studies["xor_depth"]], LISTED)}
    assert list(rows) == ["ladder", "deep", "late", "typo"]
    assert (rows["ladder"].declared, rows["ladder"].lacking) == (12, 3)
    assert rows["ladder"].why == "3 not run, needs patience"
    assert rows["ladder"].command == "ablation run study=ladder profile=quick"
    assert (rows["deep"].lacking, rows["deep"].why) == (69, "not run, needs an accelerator")
    assert rows["deep"].question == "How deep?"
    assert rows["late"].why == "not run"
    assert "unknown key" in rows["typo"].why
    assert [row.is_whole for row in rows.values()] == [False, True, True, True]


def test_failed_runs_are_counted_apart(studies: dict[str, Study]) -> None:
    study = studies["keep_prob"]
    counts = study.frame["status"].value_counts()
    (row,) = untrained([study], ())
    assert row.lacking == counts["missing"] + counts["failed"]
    assert row.why == f"{counts['missing']} not run; {counts['failed']} failed"


def test_where_everything_has_run_there_is_nothing_to_say(studies: dict[str, Study]) -> None:
    whole = studies["ladder"]
    whole = replace(whole, frame=whole.frame.assign(status="finished"))
    assert untrained([whole], ()) == ()
    assert untrained_table(()) is None
    assert untrained_sentence(()) == ""


def test_a_claim_on_a_study_that_did_not_run_says_what_it_needs(studies: dict[str, Study]) -> None:
    ledger = [
        reference(name, values=[0.9], study=name)
        for name in ("deep", "only_paper", "typo", "nowhere")
    ]
    found = {a.reference.claim_id: a.verdict.why for a in answers(studies.values(), ledger, LISTED)}
    assert found["deep"] == (
        "study deep: not run, needs an accelerator; ablation run study=deep profile=quick trains it"
    )
    assert found["only_paper"] == (
        "study only_paper: does not have this profile; "
        "ablation run study=only_paper profile=paper trains it"
    )
    for name in ("typo", "nowhere"):
        assert found[name] == f"study {name} was not run under this profile"


def test_the_report_shows_them_and_writes_their_table(
    studies: dict[str, Study], tmp_path: Path
) -> None:
    one = [studies["ladder"]]
    index = write_report(one, profile="quick", reports=tmp_path, listed=LISTED)
    with (index.parent / "table_untrained.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["study"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["ladder", "deep", "xor_depth", "late", "typo"]
    text = index.read_text(encoding="utf-8")
    for name in rows:
        assert f"<td>{name}</td>" in text
    assert "not run, needs an accelerator" in text
    assert "ablation run study=deep profile=quick" in text
    assert "4 were not trained and 1 only in part" in text
    assert (index.parent / "paper.pdf").stat().st_size > 0
