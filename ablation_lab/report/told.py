"""What pages over several studies need of one: computed once, and kept beside its files.

In: what `kept` computes of a study that was read, or finds in the report before. Out: plain values,
by which index, values, methods, provenance and paper are written without reading a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ablation_lab.statistics.intervals import Interval
from ablation_lab.statistics.reference_values import Verdict
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.references import ReferenceValue

Fact = tuple[str, str]


@dataclass(frozen=True)
class Answer:
    """A reference value, the study that answers it (empty for none), the verdict, and ours.

    `not_converged` counts the runs among the n of the interval that did not converge; `together`
    names the values that were judged as one printed run.
    """

    reference: ReferenceValue
    study: str
    verdict: Verdict
    interval: Interval
    not_converged: int = 0
    together: tuple[str, ...] = ()


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


@dataclass(frozen=True)
class Told:
    """What a study, as declared, tells the pages over all of them.

    `contrasts` are the rows of its comparisons.csv, `words` call for methods and references, and
    `facts` are its time, cost, settings and protocol, none where it has none.
    """

    declaration: Declaration
    answers: tuple[Answer, ...]
    contrasts: tuple[Mapping[str, Any], ...]
    words: tuple[str, ...]
    facts: tuple[Fact | None, ...]
    untrained: Untrained | None

    @property
    def name(self) -> str:
        """The study's name."""
        return self.declaration.study
