"""Captions say which error intervals show, how large the other is; a table of hits has both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ablation_lab.report.study import Study
from ablation_lab.report.table_items import items_sentence, items_table
from ablation_lab.report.tables import tables_for
from ablation_lab.statistics.intervals import Z
from tests.report.grids import declared, frame

LEVELS = {"level": ["base", "one"]}
ONE_SET = [{"name": "d", "about": "", "checksum": "", "test_is_train": False}]


def study_of(*, items: int, keep: bool, data: Any = ONE_SET, **changes: Any) -> Study:
    """Two cells of eight runs whose items differ in how hard they are."""
    rng = np.random.default_rng(0)
    hard = rng.normal(size=items)
    hits = {
        f"level={level}": {r: rng.normal(size=items) + hard < middle for r in range(8)}
        for level, middle in (("base", 1.5), ("one", 1.8))
    }
    study = declared(LEVELS, 8, baseline="level=base", data=data, **changes)
    values = {cell: [float(hit.mean()) for hit in each.values()] for cell, each in hits.items()}
    return Study(study, frame(study, values).assign(parameters=1.0), hits=hits if keep else {})


def test_without_hits_the_binomial_bound_is_given() -> None:
    study = study_of(items=400, keep=False)
    share = max(study.cells["estimate"], key=lambda p: p * (1 - p))
    size = 100 * Z * np.sqrt(share * (1 - share) / 400)
    assert "another one of 400 items (accuracies are multiples of 1/400)" in items_sentence(study)
    assert f"up to ± {size:.2f} points" in items_sentence(study)
    for table in tables_for(study)[:2]:
        assert items_sentence(study) in table.caption
    assert "items" not in {table.name for table in tables_for(study)}


def test_where_nobody_knows_the_size_that_is_said() -> None:
    several = [ONE_SET[0], {**ONE_SET[0], "name": "e"}]
    said = items_sentence(study_of(items=400, keep=False, data=several))
    assert said.endswith("what another one would add to them is not known.")
    # Training accuracy and losses have no test set that could be another one.
    assert items_sentence(study_of(items=400, keep=False, metric="train_accuracy")) == ""


def test_with_hits_a_table_has_both_errors_of_cells_and_contrasts() -> None:
    study = study_of(items=400, keep=True)
    assert "by the stored hits" in items_sentence(study)
    base, one, contrast = [[e.text for e in row] for row in items_table(study).rows]
    assert base[:2] == ["level=base", ""]
    assert one[3:5] == contrast[3:5] == ["8", "400"]
    assert contrast[:2] == ["level=one", "level=base"]
    cells = study.cells.set_index("cell")
    seeds = [f"{100 * cells.loc['level=one', end]:.1f}" for end in ("low", "high")]
    assert one[5] == f"[{seeds[0]}, {seeds[1]}]"
    for row in (base, one, contrast):
        seeds_only, items_only, both = (length(text) for text in row[5:])
        # Ends are rounded to a tenth of a point.
        assert max(seeds_only, items_only) - 0.2 < both < seeds_only + items_only


def length(bounds: str) -> float:
    low, high = bounds.strip("[]").split(", ")
    return float(high) - float(low)


def test_paired_items_say_more_than_two_test_sets_would() -> None:
    """Both cells answer the same items, so a difference spreads less than its two means."""
    base, one, contrast = (length(row[6].text) for row in items_table(
        study_of(items=400, keep=True)
    ).rows)  # fmt: skip
    assert contrast < np.hypot(base, one)


@pytest.mark.parametrize("lost", [{}, {"level=base": {}}])
def test_cells_without_hits_have_no_row(lost: dict[str, Any]) -> None:
    whole = study_of(items=100, keep=True)
    part = Study(whole.declaration, whole.frame, hits={**whole.hits, **lost})
    cells = [row[0].text for row in items_table(part).rows]
    assert cells == (["level=one"] if lost else ["level=base", "level=one", "level=one"])
