"""The printed values of all studies in one table, and how often each verdict fell.

In: the tables of each study. Out: two tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from analysis.tabular import Entry, Table

VERDICT = "verdict"


def all_claims(studies: Mapping[str, Sequence[Table]]) -> Table | None:
    """The rows of every study's table of claims, each behind its study; None without a claim."""
    found = {
        title: table for title, tables in studies.items() for table in tables
        if table.name == "claims" and table.rows
    }  # fmt: skip
    if not found:
        return None
    first = next(iter(found.values()))
    rows = [(Entry(title), *row) for title, table in found.items() for row in table.rows]
    return replace(
        first,
        header=tuple(("study", *line) for line in first.header),
        rows=tuple(rows),
        notes=tuple(dict.fromkeys(n for table in found.values() for n in table.notes)),
    )


def verdict_counts(claims: Table) -> Table:
    """Per verdict the number of claims, the most frequent first."""
    place = claims.header[-1].index(VERDICT)
    found = Counter(row[place].text for row in claims.rows)
    rows = [
        (Entry(word), Entry(str(n), float(n)))
        for word, n in sorted(found.items(), key=lambda item: (-item[1], item[0]))
    ]
    return Table("verdicts", "Verdicts", claims.caption, ((VERDICT, "claims"),), tuple(rows))
