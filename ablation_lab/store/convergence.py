"""Which runs did not converge, as far as what a study measures goes.

In: the frame of a study with the rule that fired in each run. Out: the frame with the rule that
counts. A run keeps the first rule of three that fired when it ended: something not finite, a
training loss above that of guessing, an accuracy of guessing. The loss is a sign that a network
only guesses, and a wrong one where it is sure and sometimes errs: weights drawn from N(0,1) give a
loss of 1,500 beside an accuracy of 86 %. Where the study measures an accuracy, that says by itself
whether the run guesses, so it decides. A success still needs both, as it was recorded.
"""

from __future__ import annotations

import pandas as pd

from ablation_lab.study.declaration import Declaration
from ablation_lab.study.record import NoConvergence

ACCURACY_MARGIN = 0.05  # above chance, as in the rule of the run


def with_counted_rules(frame: pd.DataFrame, declaration: Declaration) -> pd.DataFrame:
    """The frame with the rule that counts in `nc_rule`; `nc_recorded` keeps what fired."""
    chance, measured = declaration.chance, declaration.is_share and not declaration.is_success
    if not measured or chance is None:
        return frame
    better = frame[declaration.metric] > chance + ACCURACY_MARGIN
    decided = better & (frame["nc_rule"] == NoConvergence.LOSS_AT_CHANCE)
    return frame.assign(nc_rule=frame["nc_rule"].mask(decided, ""))


def overruled(frame: pd.DataFrame) -> int:
    """How many runs had a loss above that of guessing, and an accuracy that is none."""
    return int(
        ((frame["nc_recorded"] == NoConvergence.LOSS_AT_CHANCE) & (frame["nc_rule"] == "")).sum()
    )
