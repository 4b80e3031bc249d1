"""What was declared and not trained: one row for each study, with the reason and the command.

In: the studies of a report, and the list of all that are declared. Out: a `Table`, or nothing where
everything has run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablation_lab.report.study import Study
from ablation_lab.report.tabular import Entry, Table
from ablation_lab.study.commands import command, not_run
from ablation_lab.study.record import Status

if TYPE_CHECKING:
    from ablation_lab.report.catalogue import Listed

HEADER = ("study", "question", "declared", "without result", "why", "command")
CAPTION = (
    "Studies that this profile declares and of which runs have no result. Each command trains what "
    "is missing, and nothing twice; with ENGINE=ray or ENGINE=slurm behind it on other machines."
)


@dataclass(frozen=True)
class Untrained:
    """A study with runs that have no result: how many, why, and what to type."""

    study: str
    question: str
    declared: int
    lacking: int
    why: str
    command: str

    @property
    def is_whole(self) -> bool:
        """Whether nothing of the study has a result."""
        return self.lacking == self.declared


def untrained(studies: Iterable[Study], listed: Iterable[Listed]) -> tuple[Untrained, ...]:
    """The studies with runs without result, those of the report first; each in order of names."""
    made = list(studies)
    known = {study.name for study in made}
    absent = [entry for entry in listed if entry.study not in known]
    return (*_in_part(made), *_never(absent))


def untrained_table(rows: Sequence[Untrained]) -> Table | None:
    """The rows as a table; None where there are none."""
    if not rows:
        return None
    entries = tuple(
        (
            Entry(row.study),
            Entry(row.question),
            Entry(str(row.declared), float(row.declared)),
            Entry(str(row.lacking), float(row.lacking)),
            Entry(row.why),
            Entry(row.command),
        )
        for row in rows
    )
    return Table("untrained", "Not trained, or not all of it", CAPTION, (HEADER,), entries)


def untrained_sentence(rows: Sequence[Untrained]) -> str:
    """How many studies lack results, in one sentence; empty where none does."""
    whole = sum(row.is_whole for row in rows)
    counts = [(whole, "were not trained"), (len(rows) - whole, "only in part")]
    said = " and ".join(f"{n} {what}" for n, what in counts if n)
    if not said:
        return ""
    text = f"Of the studies that this profile declares {said}; a table says why, and what to type."
    return text if whole else text.replace("only in part", "were trained only in part")


def _in_part(studies: Iterable[Study]) -> Iterator[Untrained]:
    for study in studies:
        status, declaration = study.frame["status"], study.declaration
        failed, missing = (int((status == each).sum()) for each in (Status.FAILED, Status.MISSING))
        if failed + missing:
            why = [f"{missing} {not_run(declaration.needs)}"] if missing else []
            why += [f"{failed} failed"] if failed else []
            yield Untrained(
                study=study.name,
                question=declaration.question,
                declared=int((status != Status.SKIPPED).sum()),
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
                why=entry.problem or not_run(entry.needs),
                command=command(entry.study, entry.profile),
            )
