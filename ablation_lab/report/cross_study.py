"""What a report says across its studies: every reference value, and what was not trained.

In: the studies, the references, and every declared study. Out: answers and rows, and their files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ablation_lab.report.contrast_rows import every_contrast
from ablation_lab.report.language import msgid, msgids, tr, tr_known, trn
from ablation_lab.report.reference_tables import accuracies
from ablation_lab.report.reference_values import answers, value_table
from ablation_lab.report.study import Study
from ablation_lab.report.tabular import Table, write_table
from ablation_lab.report.text import csv_frame
from ablation_lab.report.told import Answer, Told, Untrained
from ablation_lab.study.record import Status, command, not_run
from ablation_lab.study.references import ReferenceValue

if TYPE_CHECKING:
    from ablation_lab.study.project import Listed


@dataclass(frozen=True)
class Across:
    """What answers the reference values, the accuracies among them, and what was not trained."""

    answers: tuple[Answer, ...]
    accuracies: Table | None
    untrained: tuple[Untrained, ...]
    contrasts: pd.DataFrame

    @classmethod
    def over(
        cls,
        studies: Sequence[Study | Told],
        *,
        references: Sequence[ReferenceValue] = (),
        listed: Sequence[Listed] = (),
    ) -> Across:
        """What these studies leave to say."""
        found = answers(studies, references, listed)
        return cls(
            found,
            accuracies(found, references),
            untrained(studies, listed),
            every_contrast(studies),
        )

    def write(self, folder: Path) -> None:
        """Write the tables, and values.csv where there are reference values, into a folder."""
        if self.answers:
            table = value_table(self.answers)
            csv_frame(table).to_csv(folder / "values.csv", index=False, lineterminator="\n")
        if len(self.contrasts):
            table = csv_frame(self.contrasts)
            table.to_csv(folder / "comparisons.csv", index=False, lineterminator="\n")
        for made in self.tables:
            write_table(made, folder)

    @property
    def tables(self) -> list[Table]:
        """The tables that have rows."""
        made = (self.accuracies, untrained_table(self.untrained))
        return [table for table in made if table is not None]


UNTRAINED_HEADER = msgids("study", "question", "declared", "without result", "why", "command")
UNTRAINED_CAPTION = msgid(
    "Studies that this profile declares and of which runs have no result. Each "
    "command trains what is missing, and nothing twice; with ENGINE=ray or "
    "ENGINE=slurm behind it on other machines."
)


def untrained(studies: Iterable[Study | Told], listed: Iterable[Listed]) -> tuple[Untrained, ...]:
    """The studies with runs without result, those of the report first; each in order of names."""
    made = list(studies)
    known = {study.name for study in made}
    absent = [entry for entry in listed if entry.study not in known]
    in_part = filter(None, map(untrained_of, made))
    return (*in_part, *_never(absent))


def untrained_table(rows: Sequence[Untrained]) -> Table | None:
    """The rows as a table; None where there are none."""
    if not rows:
        return None
    return Table.of(
        "untrained",
        tr("Not trained, or not all of it"),
        caption=tr(UNTRAINED_CAPTION),
        header=(tuple(map(tr, UNTRAINED_HEADER)),),
        rows=map(astuple, rows),
    )


def untrained_sentence(rows: Sequence[Untrained]) -> str:
    """How many studies lack results, in one sentence; empty where none does."""
    whole = sum(row.is_whole for row in rows)
    part = len(rows) - whole
    if not rows:
        return ""
    none = trn("{n} was not trained", "{n} were not trained", whole)
    said = (
        tr("{n} were trained only in part", n=part)
        if not whole
        else tr("{untrained} and {n} only in part", untrained=none, n=part)
        if part
        else none
    )
    return tr(
        "Of the studies that this profile declares {said}; a table says why, and what to type.",
        said=said,
    )


def untrained_of(study: Study | Told) -> Untrained | None:
    """The row of a study; None where nothing is without result."""
    if isinstance(study, Told):
        return study.untrained
    status, declaration = study.frame["status"], study.declaration
    failed, missing = (int((status == each).sum()) for each in (Status.FAILED, Status.MISSING))
    if not failed + missing:
        return None
    why = [f"{missing} {tr_known(not_run(declaration.needs))}"] if missing else []
    why += [tr("{n} failed", n=failed)] if failed else []
    return Untrained(
        study=study.name,
        question=declaration.question,
        declared=int((~status.isin([Status.SKIPPED, Status.NOT_NEEDED])).sum()),
        lacking=failed + missing,
        why="; ".join(why),
        command=command(study.name, declaration.profile),
    )


def _never(listed: Iterable[Listed]) -> Iterator[Untrained]:
    for entry in listed:
        if entry.asked:
            yield Untrained(
                study=entry.study,
                question=entry.question,
                declared=entry.runs,
                lacking=entry.runs,
                why=entry.problem or tr_known(not_run(entry.needs)),
                command=command(entry.study, entry.profile),
            )
