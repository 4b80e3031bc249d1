"""Which state of a run is reported: the selection rule, its settings and its sentence. Pure.

Comes in: the rule that a study declares, and resolved training settings. Goes out: what the rule
sets, which rule given settings follow, and the sentence that is printed under every table. The test
set chooses nothing: it is scored once, in the state that the rule selects, so there is one value
per run and nothing left to choose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ablation_lab.study.run import BEST_ON_VALIDATION
from ablation_lab.study.schema import SelectionRule

if TYPE_CHECKING:
    import pandas as pd

# Cells of one study that follow different rules, and runs of somebody else's.
BY_CELL = "by_cell"
AS_IMPORTED = "as_imported"


def overrides_of(rule: SelectionRule) -> Mapping[str, Any]:
    """Return the settings that a rule adds to every run; early stopping is set by its patience."""
    if rule is SelectionRule.BEST_ON_VALIDATION:
        return {"training.selection": BEST_ON_VALIDATION}
    return {}


def rule_of(training: Mapping[str, Any]) -> SelectionRule:
    """Return the rule that resolved training settings follow."""
    if training.get("patience"):
        return SelectionRule.EARLY_STOPPED
    if training.get("selection") == BEST_ON_VALIDATION:
        return SelectionRule.BEST_ON_VALIDATION
    return SelectionRule.LAST_EPOCH


def common_rule(settings: Iterable[Mapping[str, Any]]) -> str:
    """Return the rule that all runs follow, or that it differs from cell to cell."""
    rules = {rule_of(training) for training in settings} or {SelectionRule.LAST_EPOCH}
    return rules.pop().value if len(rules) == 1 else BY_CELL


@dataclass(frozen=True)
class Selection:
    """A rule and its sentence."""

    name: str
    caption: str

    def values(self, frame: pd.DataFrame, metric: str) -> pd.Series[float]:
        """The values of the metric in the selected states, one per row of the frame.

        Raises KeyError where the runs did not store the metric.
        """
        if metric not in frame:
            raise KeyError(
                f"selection {self.name} reads the metric {metric!r}, which no run stored"
            )
        return frame[metric].astype("float64")


_SENTENCES = {
    SelectionRule.LAST_EPOCH.value: "Values are those after the last step of training.",
    SelectionRule.BEST_ON_VALIDATION.value: (
        "Values are those of the best point of each run's validation curve; the test set was "
        "scored once, in that state, and chose nothing."
    ),
    SelectionRule.EARLY_STOPPED.value: (
        "Training ended when the validation curve had not improved for the declared patience, and "
        "values are those of its best point; the test set was scored once, in that state, and "
        "chose nothing."
    ),
    BY_CELL: (
        "Cells differ in the state that they report, as their levels say: after the last step, or "
        "the best point of the validation curve; the test set was scored once a run and chose "
        "nothing."
    ),
    AS_IMPORTED: "Values are those of the imported table, which does not say of which state.",
}
SELECTIONS = {name: Selection(name, caption) for name, caption in _SENTENCES.items()}


def selection(name: str) -> Selection:
    """The rule of that name; KeyError with the known names otherwise."""
    if name not in SELECTIONS:
        raise KeyError(f"unknown selection {name!r}; known: {', '.join(SELECTIONS)}")
    return SELECTIONS[name]
