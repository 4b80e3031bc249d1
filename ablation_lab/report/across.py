"""What a report says across its studies: every printed value, and what was not trained.

In: the studies, the ledger, and every declared study. Out: answers and rows, and their files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ablation_lab.report.claims import Answer, answers, claim_table
from ablation_lab.report.claims.accuracies import accuracies
from ablation_lab.report.study import Study
from ablation_lab.report.tabular import Table
from ablation_lab.report.untrained import Untrained, untrained, untrained_table
from ablation_lab.report.writers import write_table
from ablation_lab.study.printed import PrintedClaim

if TYPE_CHECKING:
    from ablation_lab.report.catalogue import Listed


@dataclass(frozen=True)
class Across:
    """The answers to all claims, the printed accuracies among them, and what was not trained."""

    answers: tuple[Answer, ...]
    accuracies: Table | None
    untrained: tuple[Untrained, ...]

    @classmethod
    def over(
        cls,
        studies: Sequence[Study],
        *,
        ledger: Sequence[PrintedClaim] = (),
        listed: Sequence[Listed] = (),
    ) -> Across:
        """What these studies leave to say."""
        found = answers(studies, ledger, listed)
        return cls(found, accuracies(found, ledger), untrained(studies, listed))

    def write(self, folder: Path) -> None:
        """Write claims.csv and the tables into the report's folder."""
        table = claim_table(self.answers)
        table.to_csv(folder / "claims.csv", index=False, lineterminator="\n")
        for made in (self.accuracies, untrained_table(self.untrained)):
            if made is not None:
                write_table(made, folder)
