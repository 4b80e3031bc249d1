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
from ablation_lab.report.language import msgid, msgids, tr, tr_known
from ablation_lab.report.study import Study
from ablation_lab.statistics.comparisons import Comparison, Standing, paired
from ablation_lab.statistics.intervals import Interval
from ablation_lab.statistics.outcomes import Outcomes, estimate
from ablation_lab.statistics.planning import Procedure, replicates_to_show
from ablation_lab.study.declaration import Declaration

NOT_DECIDED = (Standing.EQUIVALENT, Standing.UNDECIDED, Standing.NEEDS)  # the surest first
OUT_OF_REACH = msgid("no bearable number of runs")
TAKES = msgid("; showing one of {amount}, the margin of equivalence, takes {enough}")
TAKES_AS_SEEN = msgid("; showing one of {amount}, as large as was seen, takes {enough}")
HIGHER, LOWER = msgids("higher", "lower")
# What is measured, which way it differs, and whether a size is known.
CHANGED = {
    (HIGHER, True): msgid("{subject} is {size} higher {between}"),
    (LOWER, True): msgid("{subject} is {size} lower {between}"),
    (HIGHER, False): msgid("{subject} is higher {between}"),
    (LOWER, False): msgid("{subject} is lower {between}"),
}


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
            return tr("the share of runs that succeed")
        if self.declaration.computes:
            return tr("the first number")
        return tr_known(self.declaration.primary.words)

    def difference(self, found: Tested, sides: Sides) -> str:
        """The plain sentence on one side minus the other."""
        between = {"upper": sides.upper, "lower": sides.lower}
        if found.standing is Standing.EQUIVALENT:
            said = tr(
                "{subject} is the same within {margin} with {upper} and with {lower}",
                subject=self.subject,
                margin=self.amount(self.margin),
                **between,
            )
            return f"{sides.within}{said}"
        values = f": {_against(*sides.values)}" if sides.values else ""
        if not found.decided:
            said = tr(
                "no difference in {subject} is shown between {upper} and {lower}",
                subject=self.subject,
                **between,
            )
        else:
            said = self.changed(found, tr("with {upper} than with {lower}", **between))
        return f"{sides.within}{said}{values}"

    def slope(self, found: Tested, sides: Sides, steps: str) -> str:
        """The plain sentence on a change by step from the lower to the upper side."""
        last, first = sides.values
        ends = {"first": first, "lower": sides.lower, "last": last, "upper": sides.upper}
        values = tr(": {first} with {lower}, {last} with {upper}", **ends)
        along = tr("with each step of {steps}", steps=steps)
        if not found.decided:
            said = tr("no change of {subject} is shown {along}", subject=self.subject, along=along)
            return f"{sides.within}{said}{values}"
        return f"{sides.within}{self.changed(found, along)}{values}"

    def changed(self, found: Tested, between: str) -> str:
        """What is measured, and which way and how much it is decided to differ between what."""
        if self.declaration.is_success:
            if self.way(found) == HIGHER:
                return tr("more runs succeed {between}", between=between)
            return tr("fewer runs succeed {between}", between=between)
        known = isfinite(found.size)
        size = self.amount(found.size) if known else ""
        said = CHANGED[self.way(found), known]
        return tr(said, subject=self.subject, size=size, between=between)

    @property
    def margin(self) -> float:
        """The declared margin of equivalence; 0 without one."""
        return float(self.declaration.equivalence or 0)

    def way(self, found: Tested) -> str:
        """Whether the decided difference is 'higher' or 'lower'."""
        better = found.standing is Standing.BETTER
        return HIGHER if better == self.declaration.higher_is_better else LOWER

    def outcome(self, found: Tested, *, differs: bool = False) -> str:
        """Which way a difference goes, as far as its test says; of differences, that they do."""
        if found.decided:
            return tr("different") if differs else tr(self.way(found))
        return tr("equivalent") if found.standing is Standing.EQUIVALENT else tr("undecided")

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
        return tr(" points") if in_percent(self.declaration.primary) else ""

    def evidence(self, found: Tested, *, of: str = "") -> str:
        """The difference with its interval, the replicates and p, and what a decision takes."""
        interval, declaration, said = found.interval, self.declaration, []
        if found.decided and not (declaration.is_share and declaration.higher_is_better):
            said.append(tr_known(found.standing.value))
        if isfinite(interval.estimate):
            said.append(f"{of or tr('difference')} {self.signed(interval.estimate)}{self.unit}")
        if isfinite(interval.low):
            low, high = map(self.signed, (interval.low, interval.high))
            said.append(tr("95 % interval {low} to {high}", low=low, high=high))
        said.append(f"n = {interval.n:,}")
        if isfinite(found.p) and found.standing is not Standing.NEEDS:
            text, same = p_text(found.p), found.standing is Standing.EQUIVALENT
            p = tr("p of equivalence") if same else "p"
            said.append(f"{p} {text}" if text.startswith("<") else f"{p} = {text}")
        if found.assumes and found.standing is not Standing.NEEDS:
            said.append(tr("assuming normal spread"))
        if found.decided and interval.low <= 0 <= interval.high:
            said.append(tr("by a test in steps, which decides a little sooner than the interval"))
        return ", ".join(said) + self.lacking(found)

    def lacking(self, found: Tested) -> str:
        """What it would take to decide, where it is not."""
        if found.standing not in (Standing.UNDECIDED, Standing.NEEDS):
            return ""
        if found.needs:
            return tr("; any verdict needs n ≥ {needs}", needs=found.needs)
        if not isfinite(found.size):
            return tr(
                "; a run that is not finite counts as infinitely bad, so no size can be given"
            )
        wanted = self.margin or found.size
        if not found.spread or not is_some(self.signed(wanted)):
            return tr("; hardly any difference was seen")
        needed = replicates_to_show(wanted, self.family, spread=found.spread)
        enough = f"n ≥ {needed:,}" if needed else tr(OUT_OF_REACH)
        said = {"amount": self.amount(wanted), "enough": enough}
        if self.margin:
            return tr(
                "; showing one of {amount}, the margin of equivalence, takes {enough}", **said
            )
        return tr("; showing one of {amount}, as large as was seen, takes {enough}", **said)

    def value(self, found: Outcomes) -> str:
        """What one side came to."""
        if self.declaration.is_success and found.are_counted:
            return tr("{n} of {all} runs", n=found.successes, all=len(found.values))
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
    first = upper.removesuffix(runs) if both else upper
    return tr("{upper} against {lower}", upper=first, lower=lower)


def is_some(text: str) -> bool:
    """Whether a number that is written so is none of zero."""
    return any(digit in "123456789" for digit in text)


def wording_of(study: Study, family: int) -> Wording:
    """How a study's differences are said, of a family of so many tests."""
    return Wording(study.declaration, decimals(study.cells, study.declaration), max(family, 1))
