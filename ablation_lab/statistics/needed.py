"""Which declared runs no look asked for, in studies that run until they are decided. Pure.

In: the tidy frame and its declaration. Out: the frame, in which such runs are not missing.
"""

from __future__ import annotations

import pandas as pd

from ablation_lab.statistics.comparisons import compared
from ablation_lab.statistics.outcomes import outcomes
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.record import Status


def with_what_is_needed(frame: pd.DataFrame, declaration: Declaration) -> pd.DataFrame:
    """The frame with what no look asked for: not missing, and beside it when the cell was decided.

    Runs that are there all the same, of an earlier declaration, stay as they are.
    """
    if not declaration.looks:
        return frame
    made = compared(outcomes(frame, declaration), declaration)
    open_ = {each.cell for pair in made.every if pair.is_open for each in (pair.first, pair.second)}
    asked = frame["cell"].map(made.asked)
    spared = (frame["status"] == Status.MISSING) & (frame["replicate"] >= asked)
    word = frame["cell"].isin(open_).map({True: "not asked for yet: open at", False: "decided at"})
    return frame.assign(
        status=frame["status"].mask(spared, Status.NOT_NEEDED),
        reason=frame["reason"].mask(spared, word + " " + asked.astype(str)),
    )
