"""Two errors apart: over seeds, as all intervals show, and over the items of the test set.

In: a Study. Out: a sentence for captions that gives the size of the other error, and a table of
both, where runs kept which test items they got right.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan

import numpy as np
from scipy.stats import norm

from ablation_lab.report.formatting import (
    bounds_text,
    decimals,
    difference_text,
    rule_caption,
    sortable,
    value_text,
)
from ablation_lab.report.language import tr, trs
from ablation_lab.report.study import Study
from ablation_lab.report.tabular import Entry, Table
from ablation_lab.statistics.intervals import LEVEL_OF_TESTS, Floats, Interval, Z
from ablation_lab.statistics.items import ItemErrors, binomial_error, item_errors, items_behind
from ablation_lab.statistics.outcomes import bounds_of, estimate

HIT_BY_ITEM = "test_accuracy"  # what the mean of the hits of a run is


def cell_errors(study: Study) -> dict[str, ItemErrors]:
    """What other items would do to the mean of each cell whose runs kept their hits."""
    if study.declaration.metric != HIT_BY_ITEM:
        return {}
    kept = {cell: list(hits.values()) for cell, hits in study.hits.items()}
    return {cell: item_errors(np.stack(hits)) for cell, hits in kept.items() if hits}


def items_sentence(study: Study) -> str:
    """Which error intervals show, and the size of the other; empty where there is one test set."""
    declaration = study.declaration
    if not declaration.metric.startswith("test_") or not declaration.is_share:
        return ""
    says = tr("Intervals are over seeds, on one test set")
    if errors := cell_errors(study):
        most = max(errors.values(), key=lambda each: each.added)
        return tr(
            "{says}; other {items:,} items would add up to ± {added:.2f} points to a "
            "mean (95 %, by the stored hits; table of errors over seeds and items).",
            says=says,
            items=most.items,
            added=100 * Z * most.added,
        )
    means = study.cells["estimate"].dropna().to_numpy(dtype=np.float64)
    found = [value for each in study.outcomes.values() for value in each.values.values()]
    items = items_behind(found) if len(declaration.data) == 1 else None
    if items is None or not len(means):
        return tr("{says}; what another one would add to them is not known.", says=says)
    most_uncertain = max(100 * Z * binomial_error(share, items) for share in means)
    return tr(
        "{says}; another one of {items:,} items (accuracies are multiples of "
        "1/{items:,}) would add up to ± {most_uncertain:.2f} points to a mean (95 %, "
        "the binomial bound).",
        says=says,
        items=items,
        most_uncertain=most_uncertain,
    )


def items_table(study: Study) -> Table:
    """Every cell and every primary contrast over seeds, over items, and over both."""
    declaration, digits = study.declaration, decimals(study.cells, study.declaration)
    rows = [*_cells(study), *_contrasts(study)]

    def bounds(each: Interval) -> Entry:
        return Entry(
            bounds_text(each.low, each.high, declaration, digits=digits), sortable(each.low)
        )

    return Table.of(
        "items",
        tr("Errors over seeds and over test items"),
        caption=(
            tr(
                "Over seeds: other runs on these test items, the intervals of all other "
                "tables. Over items: these runs on other items of the same kind. Over "
                "both: other runs on other items, what holds for a new test set. Of a "
                "difference the items are paired, as both cells answer the same ones, "
                "and the intervals of all differences hold together. {rule_caption}",
                rule_caption=rule_caption(declaration),
            )
        ),
        header=(trs("cell", "minus", "mean or difference", "runs", "items", "over seeds",
                    "over items", "over both"),),
        rows=[
            (
                Entry(cell, cell=cell),
                minus,
                (difference_text if minus else value_text)(
                    seeds.estimate, declaration, digits=digits
                ),
                errors.runs,
                errors.items,
                *map(bounds, (seeds, over_items, both)),
            )
            for cell, minus, errors, (seeds, over_items, both) in rows
        ],
    )  # fmt: skip


Row = tuple[str, str, ItemErrors, tuple[Interval, Interval, Interval]]


def _cells(study: Study) -> Iterator[Row]:
    bounds = bounds_of(study.declaration.primary)
    for cell, errors in cell_errors(study).items():
        seeds = estimate(study.outcomes[cell], study.declaration)
        over_items = _over_items(seeds, errors, Z)
        yield cell, "", errors, (seeds, over_items, errors.both(seeds, bounds=bounds))


def _contrasts(study: Study) -> Iterator[Row]:
    z = float(norm.isf(LEVEL_OF_TESTS / (2 * max(len(study.contrasts), 1))))
    for made in study.contrasts:
        first, second = made.first.cell, made.second.cell
        values, seeds = _differences(study, first, second), made.difference
        if len(values) and not isnan(seeds.estimate):
            errors = item_errors(values)
            both = errors.both(seeds, z=z)
            yield first, second, errors, (seeds, _over_items(seeds, errors, z), both)


def _over_items(seeds: Interval, errors: ItemErrors, z: float) -> Interval:
    reach = z * errors.own
    middle = seeds.estimate
    return Interval(middle, middle - reach, middle + reach, errors.items, "normal")


def _differences(study: Study, first: str, second: str) -> Floats:
    """Hits of one cell minus those of another (R, M), in the replicates that kept both."""
    one, other = (study.hits.get(cell, {}) for cell in (first, second))
    common = sorted(one.keys() & other.keys())
    if len({len(hits[r]) for hits in (one, other) for r in common}) != 1:
        return np.zeros((0, 0))
    return np.stack([one[r].astype(np.float64) - other[r] for r in common])
