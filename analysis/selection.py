"""Named rules that say which moment of a run its result is read at.

In: the tidy frame. Out: the column of values that a rule selects. A rule never looks at the test
set to choose; its caption is printed under every table that it feeds.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Selection:
    """A rule: `suffix` is what follows the metric's name in the store ('' for the last epoch)."""

    name: str
    suffix: str
    caption: str

    def column(self, metric: str) -> str:
        """The column that holds the metric under this rule."""
        return f"{metric}{self.suffix}"

    def values(self, frame: pd.DataFrame, metric: str) -> pd.Series[float]:
        """The selected values, one per row of the frame.

        Raises KeyError where the runs did not store the metric under this rule.
        """
        column = self.column(metric)
        if column not in frame:
            raise KeyError(
                f"selection {self.name} reads the metric {column!r}, which no run stored; "
                f"choose last_epoch or store it"
            )
        return frame[column].astype("float64")


LAST_EPOCH = Selection("last_epoch", "", "Values are those after the last step of training.")
BEST_VALIDATION = Selection(
    "best_validation",
    "_at_best_validation",
    "Values are those of the epoch with the best validation accuracy; the test set chose nothing.",
)
EARLY_STOPPED = Selection(
    "early_stopped",
    "_at_early_stop",
    "Values are those of the step at which early stopping on the validation set ended training.",
)
SELECTIONS = {rule.name: rule for rule in (LAST_EPOCH, BEST_VALIDATION, EARLY_STOPPED)}


def selection(name: str) -> Selection:
    """The rule of that name; KeyError with the known names otherwise."""
    if name not in SELECTIONS:
        raise KeyError(f"unknown selection {name!r}; known: {', '.join(SELECTIONS)}")
    return SELECTIONS[name]
