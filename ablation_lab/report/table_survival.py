"""Which verdicts survive other rules of testing, as a table.

In: a Study. Out: a `Table`: the same, or what another rule says instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ablation_lab.report.formatting import rule_caption
from ablation_lab.report.language import msgid, tr, tr_known, trn
from ablation_lab.report.study import Study
from ablation_lab.report.tabular import Entry, Table
from ablation_lab.statistics.robustness import NO_TEST, Rule, Survival


def survival_sentence(study: Study) -> str:
    """How many verdicts other rules would change, in one sentence; empty without a verdict."""
    made = study.survivals
    if not made:
        return ""
    changed = sum(bool(each.changed) for each in made)
    counts = Counter(rule for each in made for rule in each.changed)
    each_rule = ", ".join(f"{tr_known(rule)} {counts[rule]}" for rule in made[0].under)
    return trn(
        "{n} of {all} verdicts changes under other rules of testing ({rules}).",
        "{n} of {all} verdicts change under other rules of testing ({rules}).",
        changed,
        all=len(made),
        rules=each_rule,
    )


def survival_table(study: Study) -> Table:
    """The primary contrasts under other rules: the same, or what each would say instead."""
    several = bool(study.declaration.baselines) or not study.comparisons
    rules = list(study.survivals[0].under)

    def said(each: Survival, rule: Rule) -> Entry:
        new = rule in each.changed
        other = new or each.under[rule] == NO_TEST
        return Entry(tr_known(each.under[rule]) if other else tr("same"), bold=new)

    return Table.of(
        "survival",
        tr("Which verdicts survive other rules"),
        caption=_survival_caption(study, rules),
        header=(
            (
                tr("cell"),
                *((tr("minus"),) if several else ()),
                tr("verdict"),
                *map(tr_known, rules),
            ),
        ),
        rows=[
            (
                Entry(each.comparison.first.cell, cell=each.comparison.first.cell),
                *([Entry(each.comparison.second.cell)] if several else []),
                Entry(tr_known(each.comparison.verdict)),
                *(said(each, rule) for rule in rules),
            )
            for each in study.survivals
        ],
    )


MEANING = {
    Rule.CONVERGED: msgid(
        "runs that did not converge are dropped, which favours cells that lose many"
    ),
    Rule.MEDIAN: msgid(
        "Wilcoxon's signed ranks, joint as ours, so that no single run weighs much; it "
        "shows little with few replicates and many comparisons"
    ),
    Rule.T: msgid("every pair by itself, corrected by Holm, which assumes normal spread"),
    Rule.UNPAIRED: msgid(
        "all runs of both cells without their pairs, by Welch's test (of successes by "
        "Fisher's), corrected by Holm"
    ),
}


def _survival_caption(study: Study, rules: Sequence[Rule]) -> str:
    meaning = "; ".join(f"{tr_known(rule)}: {tr(MEANING[rule])}" for rule in rules)
    return tr(
        "Each verdict of this study under rules that others would defend: 'same', or "
        "what that rule says instead. A verdict that changes rests on the rule as "
        "much as on the runs. {survival_sentence} The rules were not chosen by their "
        "results: {meaning}. They have no test of sameness, so equivalent and "
        "undecided both count as no difference shown. {rule_caption}",
        survival_sentence=survival_sentence(study),
        meaning=meaning,
        rule_caption=rule_caption(study.declaration),
    )
