"""How the contrasts of a report end, and how many of its verdicts may be false."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ablation_lab.report import contrast_rows
from ablation_lab.report.contrast_rows import contrasts, every_contrast
from ablation_lab.report.study import Study
from ablation_lab.report.table_comparisons import verdicts_sentence
from ablation_lab.statistics.comparisons import Standing


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
    assert "false is at most 5 %. If" in verdicts_sentence([alone])
    assert verdicts_sentence([]) == ""


def test_where_nothing_is_decided_no_verdict_may_be_false(
    studies: dict[str, Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = contrasts(studies["keep_prob"]).assign(verdict=Standing.UNDECIDED, p=0.5)
    monkeypatch.setattr(contrast_rows, "contrasts", lambda _: found)
    said = verdicts_sentence([studies["keep_prob"]])
    count = len(found)
    assert said == f"Of {count} comparisons with a baseline or the step before: {count} undecided."
