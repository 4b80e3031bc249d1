"""What a study found, in a sentence that says no more than its runs do."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from ablation_lab.report import table_comparisons
from ablation_lab.report.findings import against_baseline, finding
from ablation_lab.report.study import Study
from ablation_lab.report.table_comparisons import contrasts, every_contrast, verdicts_sentence
from ablation_lab.statistics.comparisons import Standing
from tests.report.grids import with_cells


def test_cells_alike_share_the_first_place(studies: dict[str, Study]) -> None:
    study = studies["keep_prob"]
    cells = study.cells.assign(estimate=0.9, best=False)
    said = finding(with_cells(study, cells))
    assert f"in {len(cells)} of {len(cells)} cells alike" in said
    assert "runner-up" not in said


def test_a_single_run_is_not_said_to_be_tested(studies: dict[str, Study]) -> None:
    study = studies["keep_prob"]
    said = finding(with_cells(study, study.cells.assign(n=1)))
    assert "of one run and so without a test" in said
    assert "corrected test" not in said


def test_the_baseline_is_answered_by_counts_of_verdicts(studies: dict[str, Study]) -> None:
    study = studies["keep_prob"]
    counts = Counter(made.standing for made in study.comparisons)
    said = against_baseline(study)
    assert counts
    words = {Standing.NEEDS: "without a verdict, since they need n ≥ 6"}
    assert all(f"{n} {words.get(each, each.value)}" in said for each, n in counts.items())
    assert said in finding(study)
    without = replace(study, declaration=study.declaration.model_copy(update={"baseline": None}))
    assert against_baseline(without) == ""


def test_how_many_verdicts_may_be_false_is_said_of_those_that_there_are(
    studies: dict[str, Study],
) -> None:
    alone = studies["keep_prob"]
    other = replace(alone, declaration=alone.declaration.model_copy(update={"study": "other"}))
    made = every_contrast([alone, other])
    decided = made["verdict"].isin([Standing.BETTER, Standing.WORSE])
    assert decided.any()
    tested = made["p"].dropna().sort_values(ascending=False)
    # Benjamini and Hochberg's step-up, by hand.
    by_hand = (tested * len(tested) / np.arange(len(tested), 0, -1)).cummin().clip(upper=1)
    assert np.allclose(made.loc[by_hand.index, "q"], by_hand)
    kept = int((made.loc[decided, "q"] <= 0.05).sum())
    said = verdicts_sentence([alone, other])
    assert "false is at most 5 % in each study: of these 2, 0.1 are expected to have a" in said
    assert said.endswith(f"{kept} of {decided.sum()} remain.")
    assert "false is at most 5 %. Where" in verdicts_sentence([alone])
    assert verdicts_sentence([]) == ""


def test_where_nothing_is_decided_no_verdict_may_be_false(
    studies: dict[str, Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = contrasts(studies["keep_prob"]).assign(verdict=Standing.UNDECIDED, p=0.5)
    monkeypatch.setattr(table_comparisons, "contrasts", lambda _: found)
    said = verdicts_sentence([studies["keep_prob"]])
    assert said == f"{len(found)} primary contrasts: {len(found)} undecided."
