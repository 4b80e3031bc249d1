"""Named rules that say which state of a run its result was read in.

In: the name that a study declares. Out: the rule with the sentence that is printed under every
table that it feeds. The rule was followed while training: the state that it selects is the only
one in which the test set was ever scored, so there is one value per run and nothing left to choose.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Tuning:
    """What was spent on every cell to tune its nuisance factors on validation."""

    trials: int
    replicates: int


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


LAST_EPOCH = Selection("last_epoch", "Values are those after the last step of training.")
BEST_ON_VALIDATION = Selection(
    "best_on_validation",
    "Values are those of the best point of each run's validation curve; the test set was scored "
    "once, in that state, and chose nothing.",
)
EARLY_STOPPED = Selection(
    "early_stopped",
    "Training ended when the validation curve had not improved for the declared patience, and "
    "values are those of its best point; the test set was scored once, in that state, and chose "
    "nothing.",
)
BY_CELL = Selection(
    "by_cell",
    "Cells differ in the state that they report, as their levels say: after the last step, or the "
    "best point of the validation curve; the test set was scored once a run and chose nothing.",
)
SELECTIONS = {rule.name: rule for rule in (LAST_EPOCH, BEST_ON_VALIDATION, EARLY_STOPPED, BY_CELL)}


def selection(name: str) -> Selection:
    """The rule of that name; KeyError with the known names otherwise."""
    if name not in SELECTIONS:
        raise KeyError(f"unknown selection {name!r}; known: {', '.join(SELECTIONS)}")
    return SELECTIONS[name]
