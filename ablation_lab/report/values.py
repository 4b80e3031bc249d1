"""How the reference values of a project fare: what ``ablation values`` prints.

In: the address of a store, a profile and the project's declarations. Out: kind × verdict as counts,
and every value that differs or cannot be decided.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ablation_lab.errors import StoreError, redact
from ablation_lab.output import warn
from ablation_lab.report.reference_values import answers, counted, family, value_table
from ablation_lab.report.study import load
from ablation_lab.report.told import Answer
from ablation_lab.statistics.reference_values import Word
from ablation_lab.store.declared import load_references
from ablation_lab.store.places import validate_readable
from ablation_lab.study.project import catalogue
from ablation_lab.study.references import ValueKind

TOLD = (Word.DIFFERS, Word.NOT_DECIDABLE)


def summarise(store: str, profile: str, conf: Path) -> int:
    """Print the summary; return 1 if a value is bound to nothing, or its study has lost the cell.

    Errors: ``StoreError`` with one line on what is wrong.
    """
    validate_readable(store)
    references = load_references(store)
    if not references:
        raise StoreError(f"store {redact(store)}: it holds no reference values; run a study first")
    found = answers(load(store, profile), references, catalogue(profile, [conf]))
    sys.stdout.write(summary(found))
    wrong = [each for each in found if each.verdict.word is Word.LOST or _is_unbound(each)]
    for each in wrong:
        warn(f"not bound: {each.reference.claim_id}: {each.verdict.why}")
    return 1 if wrong else 0


def _is_unbound(answer: Answer) -> bool:
    return not answer.reference.study and not answer.reference.not_attempted


def summary(found: Sequence[Answer]) -> str:
    """Counts by kind and verdict, what the family says, and each that a reader should look at."""
    table = value_table(found)
    counts = pd.crosstab(table["kind"], table["verdict"])
    counts = counts.reindex([kind for kind in ValueKind if kind in counts.index])
    words = [str(word) for word in counts.columns]
    width = max(map(len, ValueKind))
    lines = [counted(found)]
    for kind, row in counts.iterrows():
        told = ", ".join(f"{row[word]} {word}" for word in words if row[word])
        lines.append(f"  {kind:<{width}}  {told}")
    lines += [line for line in (family(found).sentence,) if line]
    for word in TOLD:
        lines += [
            f"{each.verdict.text}: {each.reference.claim_id} ({each.study}): "
            f"printed {each.reference.shown}; {each.verdict.why}"
            for each in found
            if each.verdict.word is word
        ]
    return "\n".join(lines) + "\n"
