"""Which verdicts survive: the contrasts of a study under other rules that one could defend.

In: the comparisons that a study made. Out: for each of them what other rules say. None of these is
the study's own rule, and none may be chosen after seeing them: a verdict that changes rests on the
rule as much as on the runs. What each rule errs by stands in docs/statistics.md. Shapes: K pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf, isnan, nan

import numpy as np
from scipy import stats as scipy_stats

from ablation_lab.statistics.comparisons import Comparison, Pair, Standing, paired
from ablation_lab.statistics.intervals import LEVEL_OF_TESTS, Floats, holm
from ablation_lab.statistics.joint import joint_test
from ablation_lab.statistics.outcomes import Outcomes
from ablation_lab.statistics.planning import Procedure, replicates_needed
from ablation_lab.statistics.sequential import Looks
from ablation_lab.study.declaration import Declaration

NO_DIFFERENCE = "no difference shown"
NO_TEST = "no test"  # of what is infinite, or of too few runs of the kind that a rule looks at


class Rule(StrEnum):
    """How else the contrasts of a study could be tested, all of them as one family."""

    CONVERGED = "converged runs only"
    MEDIAN = "median instead of mean"
    T = "t tests with Holm"
    UNPAIRED = "unpaired with Holm"


@dataclass(frozen=True)
class Survival:
    """What other rules say of a comparison that has a verdict."""

    comparison: Comparison
    under: Mapping[Rule, str]

    @property
    def verdict(self) -> str:
        """The study's own: better, worse, or no difference shown."""
        standing = self.comparison.standing
        decided = standing in (Standing.BETTER, Standing.WORSE)
        return standing.value if decided else NO_DIFFERENCE

    @property
    def changed(self) -> list[Rule]:
        """The rules that say something else."""
        return [rule for rule, said in self.under.items() if said not in (self.verdict, NO_TEST)]


def survivals(
    made: Sequence[Comparison], declaration: Declaration, *, primary: int
) -> list[Survival]:
    """The first `primary` comparisons of a family, where they have a verdict, by other rules.

    Those that fit the metric and the replicates; all of the family is tested together. These rules
    have no test of sameness: equivalent and undecided both count as no difference. Runs that are no
    pairs leave no other rule.
    """
    if not made or not declaration.paired:
        return []
    pairs = [(each.first, each.second) for each in made]
    level, success = Looks(declaration.looks, len(made)).level, declaration.is_success
    says = {
        rule: [
            _said(sign, declaration) for sign in shown(rule, pairs, success=success, level=level)
        ]
        for rule in _fitting(made, success=success)
    }
    return [
        Survival(each, {rule: words[k] for rule, words in says.items()})
        for k, each in enumerate(made[:primary])
        if each.standing is not Standing.NEEDS
    ]


def shown(
    rule: Rule, pairs: Sequence[Pair], *, success: bool = False, level: float = LEVEL_OF_TESTS
) -> Floats:
    """Which way the first of every pair (K,) differs by a rule: 1, -1 or 0; NaN for no test."""
    if rule is Rule.CONVERGED:
        p, sizes = _jointly(paired([(_converged(a), _converged(b)) for a, b in pairs]))
    elif rule is Rule.MEDIAN:
        p, sizes = _jointly(_signed_ranks(paired(pairs)))
    else:
        each = _t if rule is Rule.T else _fisher if success else _welch
        tested = np.array([each(a, b) for a, b in pairs])
        p, sizes = np.array(holm(tested[:, 0].tolist())), tested[:, 1]
    made: Floats = np.where(p <= level, np.sign(sizes), 0 * p)
    return made


def _jointly(differences: Floats) -> tuple[Floats, Floats]:
    """Joint p of columns, NaN where too few replicates are left, and sums with their signs."""
    joint = joint_test(differences)
    needed = replicates_needed() if joint.procedure is Procedure.SIGN_FLIPS else 2
    p = np.where(np.array(joint.n) >= needed, joint.p, nan)
    return p, np.nansum(differences, axis=0)


def _fitting(made: Sequence[Comparison], *, success: bool) -> list[Rule]:
    """Shares of successes have no median and no t test; ranks of few replicates decide nothing."""
    left_out = {Rule.MEDIAN, Rule.T} if success else set()
    if any(each.test == Procedure.NORMAL for each in made):
        left_out = left_out | {Rule.MEDIAN}
    return [rule for rule in Rule if rule not in left_out]


def _said(sign: float, declaration: Declaration) -> str:
    if sign == 0 or isnan(sign):
        return NO_TEST if isnan(sign) else NO_DIFFERENCE
    higher = sign > 0
    return (Standing.BETTER if higher == declaration.higher_is_better else Standing.WORSE).value


def _converged(found: Outcomes) -> Outcomes:
    return replace(found, values=found.converged)


def _signed_ranks(differences: Floats) -> Floats:
    """Wilcoxon's signed ranks of every column; their sum has the sign of the pseudo-median.

    Joint sign flips of them are the signed-rank test, for all columns together. Source: Wilcoxon,
    Individual comparisons by ranking methods, 1945.
    """
    # A missing pair takes the last rank, which is no other's, and stays missing by its sign.
    sizes = np.nan_to_num(np.abs(differences), nan=inf, posinf=inf)
    ranks = scipy_stats.rankdata(sizes, axis=0)
    made: Floats = np.sign(differences) * ranks
    return made


def _t(first: Outcomes, second: Outcomes) -> tuple[float, float]:
    """The p of a paired t test with the pair's own spread, and the mean difference."""
    d = paired([(first, second)]).ravel()
    return _student(d[~np.isnan(d)])


def _welch(first: Outcomes, second: Outcomes) -> tuple[float, float]:
    """The p of Welch's t test (1947) over all runs of both, and the difference of their means."""
    return _student(*(np.array(list(each.values.values())) for each in (first, second)))


def _student(*samples: Floats) -> tuple[float, float]:
    """The two-sided p that one mean is 0 or that two means are equal, and by how much not."""
    if any(len(x) < 2 or not np.isfinite(x).all() for x in samples):
        return nan, 0.0
    difference = float(samples[0].mean() - sum(x.mean() for x in samples[1:]))
    errors = [float(x.var(ddof=1)) / len(x) for x in samples]
    if max(errors) == 0:
        return float(difference == 0), difference
    squares = sum(e**2 / (len(x) - 1) for e, x in zip(errors, samples, strict=True))
    t, degrees = abs(difference) / sum(errors) ** 0.5, sum(errors) ** 2 / squares
    return 2 * float(scipy_stats.t.sf(t, degrees)), difference


def _fisher(first: Outcomes, second: Outcomes) -> tuple[float, float]:
    """The p of Fisher's exact test of two shares of successes, and their difference."""
    counts = [(each.successes, len(each.values) - each.successes) for each in (first, second)]
    if not all(map(sum, counts)):
        return nan, 0.0
    shares = [successes / (successes + failures) for successes, failures in counts]
    return float(scipy_stats.fisher_exact(counts).pvalue), shares[0] - shares[1]
