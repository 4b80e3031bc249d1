"""Printed values against our distribution: verdicts, their tables, and the ledger's summary.

In: studies as read from the store, and the ledger that it holds. Out: one row per claim.
`python -m ablation_lab.report.claims` prints the summary.
"""

from ablation_lab.report.claims.answers import Answer, answers
from ablation_lab.report.claims.table import COLUMNS, claim_table
from ablation_lab.statistics.verdicts import Verdict, judge, printed_unit

__all__ = ["COLUMNS", "Answer", "Verdict", "answers", "claim_table", "judge", "printed_unit"]
