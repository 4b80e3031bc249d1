"""All printed values in one table, and how often each verdict fell.

In: the table behind `claims.csv`. Out: two tables. No claim is left out: what was not attempted is
a row that says why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from ablation_lab.report.claims import Answer
from ablation_lab.report.tabular import Entry, Table
from ablation_lab.report.wording import plain_text, sortable

HEADER = ("study", "claim", "kind", "printed", "ours", "n", "verdict", "why")
CAPTION = (
    "A printed value is one run: it is compared with the spread of single runs. Ours stands in the "
    "unit of the source. A long printed text is cut here and stands whole in claims.csv."
)
COUNTED = "Claims of the ledger by verdict; every one stands in the appendix."
NOT_ATTEMPTED = "not attempted"
MOST_NAMED = 12  # printed values that a study spells out
APART = ("differs", "outside", "erratum not confirmed", "too few")
LONGEST = 60  # letters of a printed text


def all_claims(claimed: pd.DataFrame) -> Table | None:
    """Every row of the claims, grouped by the study that answers it.

    None without a claim, and where no study of the report answers any: a report on a study of one's
    own is not about the decks. All of them still stand in claims.csv.
    """
    if claimed.empty or (claimed["verdict"] == NOT_ATTEMPTED).all():
        return None
    ordered = claimed.sort_values(["study", "claim_id"], kind="stable")
    rows = tuple(
        (
            Entry(str(row["study"])),
            Entry(str(row["claim_id"])),
            Entry(str(row["kind"])),
            Entry(_cut(str(row["printed"]))),
            Entry(plain_text(row["estimate"]), sortable(row["estimate"])),
            Entry(str(row["n"]), sortable(row["n"])),
            Entry(str(row["verdict"])),
            Entry(str(row["note"])),
        )
        for row in ordered.to_dict("records")
    )
    return Table("claims", "Printed values", CAPTION, (HEADER,), rows)


def bound_sentence(found: Sequence[Answer]) -> str:
    """Which printed values a study answers: each with what is printed and the verdict.

    Of many, only those that do not agree are spelled out.
    """
    if not found:
        return "No printed value is bound to this study."
    words = Counter(answer.verdict.word for answer in found)
    if len(found) <= MOST_NAMED:
        return f"{'; '.join(map(_named, found))}."
    told = ", ".join(f"{n} {word}" for word, n in words.most_common())
    apart = [_named(answer) for answer in found if answer.verdict.word in APART]
    listed = f" {'; '.join(apart)}." if apart else ""
    return f"{len(found)} printed values: {told}.{listed}"


def _named(answer: Answer) -> str:
    printed = _cut(answer.claim.shown)
    return f"{answer.claim.claim_id}{f' ({printed})' if printed else ''} {answer.verdict.word}"


def verdict_counts(claims: Table) -> Table:
    """Per verdict the number of claims, the most frequent first."""
    place = HEADER.index("verdict")
    found = Counter(row[place].text for row in claims.rows)
    rows = [
        (Entry(word), Entry(str(n), float(n)))
        for word, n in sorted(found.items(), key=lambda item: (-item[1], item[0]))
    ]
    return Table("verdicts", "Verdicts", COUNTED, (("verdict", "claims"),), tuple(rows))


def _cut(text: str) -> str:
    """A text of bearable length, cut between two of its values."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST].rpartition(' ')[0].rstrip(',;')} …"
