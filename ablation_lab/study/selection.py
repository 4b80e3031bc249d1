"""Which state of a run is reported: the selection rule, as settings of training. Pure.

Comes in: the rule that a study declares, and resolved training settings. Goes out: what the rule
sets, and which rule given settings follow. The test set chooses nothing: it is scored once, in the
state that the rule selects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ablation_lab.study.run import BEST_ON_VALIDATION
from ablation_lab.study.schema import SelectionRule

# Cells of one study that follow different rules.
BY_CELL = "by_cell"


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
