"""A tested difference as a sentence that a student understands: which way, how much, how sure.

In: a comparison or an effect, and what its two sides are called. Out: plain English. A sentence
says "higher" or "lower" only of what its test decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np

from ablation_lab.report.formatting import (
    decimals,
    difference_text,
    in_percent,
    p_text,
    value_text,
)
from ablation_lab.report.study import Study
from ablation_lab.statistics.comparisons import Comparison, Standing, paired
from ablation_lab.statistics.intervals import Interval
from ablation_lab.statistics.outcomes import Outcomes, estimate
from ablation_lab.statistics.planning import Procedure, replicates_to_show
from ablation_lab.study.declaration import Declaration

NOT_DECIDED = (Standing.EQUIVALENT, Standing.UNDECIDED, Standing.NEEDS)  # the surest first
OUT_OF_REACH = "no bearable number of runs"


@dataclass(frozen=True)
class Sides:
    """What a difference is between: the one side minus the other, within what, and their values."""

    upper: str
    lower: str
    within: str = ""
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tested:
    """A difference with what its test says; ``spread`` is that of its values by replicate."""

    interval: Interval
    p: float
    standing: Standing
    needs: int | None = None
    spread: float = 0.0
    assumes: bool = False

    @property
    def decided(self) -> bool:
        """Whether one side is better."""
        return self.standing in (Standing.BETTER, Standing.WORSE)

    @property
    def size(self) -> float:
        """How large the difference is."""
        return abs(self.interval.estimate)


@dataclass(frozen=True)
class Said:
    """A plain sentence, the numbers that it rests on, and what it answers; without full stops."""

    plain: str
    evidence: str = ""
    question: str = ""

    @property
    def headline(self) -> str:
        """What it answers, and the answer."""
        return f"{self.question} {self.plain}.".strip()

    @property
    def text(self) -> str:
        """All of it as one sentence."""
        return f"{self.headline[:-1]} ({self.evidence})." if self.evidence else self.headline


@dataclass(frozen=True)
class Statement:
    """A sentence of a finding, with the test that it rests on; None for a count or an estimate."""

    said: Said
    rests_on: Tested | None = None
    first: bool = False

    @property
    def rank(self) -> tuple[int, float]:
        """What is decided before what is not tested or not decided.

        The largest one first; answers in the order of the questions.
        """
        if self.rests_on is None:
            return -1 if self.first else 1, 0.0
        if self.rests_on.decided:
            return 0, 0.0 if self.said.question else -self.rests_on.size
        return 1 + NOT_DECIDED.index(self.rests_on.standing), 0.0


def tested(made: Comparison) -> Tested:
    """What a comparison says."""
    column = paired([(made.first, made.second)]).ravel()
    known = column[np.isfinite(column)]
    spread = float(known.std(ddof=1)) if len(known) > 1 else 0.0
    same = made.standing is Standing.EQUIVALENT
    return Tested(
        interval=made.difference,
        p=made.p_equivalence if same else made.p,
        standing=made.standing,
        needs=made.needs,
        spread=spread,
        assumes=made.test == Procedure.NORMAL,
    )


@dataclass(frozen=True)
class Wording:
    """How a study's differences are said: its metric, its unit, its digits, its family of tests."""

    declaration: Declaration
    digits: int
    family: int = 1

    @property
    def subject(self) -> str:
        """What is measured."""
        if self.declaration.is_success:
            return "the share of runs that succeed"
        return "the first number" if self.declaration.computes else self.declaration.primary.words

    def difference(self, found: Tested, sides: Sides) -> str:
        """The plain sentence on one side minus the other."""
        if found.standing is Standing.EQUIVALENT:
            said = (
                f"{self.subject} is the same within {self.amount(self.margin)} with {sides.upper} "
                f"and with {sides.lower}"
            )
            return f"{sides.within}{said}"
        values = f": {_against(*sides.values)}" if sides.values else ""
        if not found.decided:
            said = (
                f"no difference in {self.subject} is shown between {sides.upper} and {sides.lower}"
            )
        else:
            said = self.changed(found, f"with {sides.upper} than with {sides.lower}")
        return f"{sides.within}{said}{values}"

    def slope(self, found: Tested, sides: Sides, steps: str) -> str:
        """The plain sentence on a change by step from the lower to the upper side."""
        last, first = sides.values
        values = f": {first} with {sides.lower}, {last} with {sides.upper}"
        along = f"with each step of {steps}"
        if not found.decided:
            return f"{sides.within}no change of {self.subject} is shown {along}{values}"
        return f"{sides.within}{self.changed(found, along)}{values}"

    def changed(self, found: Tested, between: str) -> str:
        """What is measured, and which way and how much it is decided to differ between what."""
        if self.declaration.is_success:
            which = "more" if self.way(found) == "higher" else "fewer"
            return f"{which} runs succeed {between}"
        size = f"{self.amount(found.size)} " if isfinite(found.size) else ""
        return f"{self.subject} is {size}{self.way(found)} {between}"

    @property
    def margin(self) -> float:
        """The declared margin of equivalence; 0 without one."""
        return float(self.declaration.equivalence or 0)

    def way(self, found: Tested) -> str:
        """Whether the decided difference is 'higher' or 'lower'."""
        better = found.standing is Standing.BETTER
        return "higher" if better == self.declaration.higher_is_better else "lower"

    def outcome(self, found: Tested, *, differs: bool = False) -> str:
        """Which way a difference goes, as far as its test says; of differences, that they do."""
        if found.decided:
            return "different" if differs else self.way(found)
        return "equivalent" if found.standing is Standing.EQUIVALENT else "undecided"

    def amount(self, size: float) -> str:
        """A size in the unit of the metric."""
        return f"{self.amount_alone(size)}{self.unit}"

    def amount_alone(self, size: float) -> str:
        """A size without its unit, with as many digits as it takes to be none of zero."""
        texts = (value_text(size, self.declaration, digits=self.digits + more) for more in range(3))
        return next(filter(is_some, texts), "0")

    def signed(self, difference: float) -> str:
        """A difference with its sign, without its unit."""
        return difference_text(difference, self.declaration, digits=self.digits)

    @property
    def unit(self) -> str:
        """' points' for shares."""
        return " points" if in_percent(self.declaration.primary) else ""

    def evidence(self, found: Tested, *, of: str = "difference") -> str:
        """The difference with its interval, the replicates and p, and what a decision takes."""
        interval, declaration, said = found.interval, self.declaration, []
        if found.decided and not (declaration.is_share and declaration.higher_is_better):
            said.append(found.standing.value)
        if isfinite(interval.estimate):
            said.append(f"{of} {self.signed(interval.estimate)}{self.unit}")
        if isfinite(interval.low):
            ends = " to ".join(map(self.signed, (interval.low, interval.high)))
            said.append(f"95 % interval {ends}")
        said.append(f"n = {interval.n:,}")
        if isfinite(found.p) and found.standing is not Standing.NEEDS:
            text, same = p_text(found.p), found.standing is Standing.EQUIVALENT
            of = " of equivalence" if same else ""
            said.append(f"p{of} {text}" if text.startswith("<") else f"p{of} = {text}")
        if found.assumes and found.standing is not Standing.NEEDS:
            said.append("assuming normal spread")
        if found.decided and interval.low <= 0 <= interval.high:
            said.append("by a test in steps, which decides a little sooner than the interval")
        return ", ".join(said) + self.lacking(found)

    def lacking(self, found: Tested) -> str:
        """What it would take to decide, where it is not."""
        if found.standing not in (Standing.UNDECIDED, Standing.NEEDS):
            return ""
        if found.needs:
            return f"; any verdict needs n ≥ {found.needs}"
        if not isfinite(found.size):
            return "; a run that is not finite counts as infinitely bad, so no size can be given"
        wanted = self.margin or found.size
        if not found.spread or not is_some(self.signed(wanted)):
            return "; hardly any difference was seen"
        needed = replicates_to_show(wanted, self.family, spread=found.spread)
        enough = f"n ≥ {needed:,}" if needed else OUT_OF_REACH
        what = "the margin of equivalence" if self.margin else "as large as was seen"
        return f"; showing one of {self.amount(wanted)}, {what}, takes {enough}"

    def value(self, found: Outcomes) -> str:
        """What one side came to."""
        if self.declaration.is_success and found.are_counted:
            return f"{found.successes} of {len(found.values)} runs"
        text = value_text(self.mean(found), self.declaration, digits=self.digits)
        return f"{text} %" if in_percent(self.declaration.primary) else text

    def mean(self, found: Outcomes) -> float:
        """The estimate of one side; of successes also where they are averages."""
        if self.declaration.is_success and found.values:
            return float(np.mean(list(found.values.values())))
        return estimate(found, self.declaration).estimate


def _against(upper: str, lower: str) -> str:
    """'1 of 200 against 200 of 200 runs'."""
    runs = " runs"
    both = upper.endswith(runs) and lower.endswith(runs)
    return f"{upper.removesuffix(runs) if both else upper} against {lower}"


def is_some(text: str) -> bool:
    """Whether a number that is written so is none of zero."""
    return any(digit in "123456789" for digit in text)


def wording_of(study: Study, family: int) -> Wording:
    """How a study's differences are said, of a family of so many tests."""
    return Wording(study.declaration, decimals(study.cells, study.declaration), max(family, 1))
