"""What a study found, in a sentence that says no more than its runs do."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ablation_lab.report.findings import against_baseline, finding
from ablation_lab.report.study import Study
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
