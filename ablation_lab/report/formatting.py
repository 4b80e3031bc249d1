"""How numbers and captions read: the only place where a value is rounded.

In: values and the declaration that says what they measure. Out: short texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import floor, isfinite, log10, nan

import pandas as pd

from ablation_lab.report.language import tr, tr_known, trn
from ablation_lab.statistics.contrasts import asked
from ablation_lab.statistics.sequential import Looks
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.factor import Factor, FactorRole
from ablation_lab.study.metric import Metric
from ablation_lab.study.selection import selection

DASH = "–"
LONGEST_COUNT = 1e12
MOST_PLACES = 7  # before and behind the point; other numbers are written with exponents


def number(value: object) -> float:
    """A table's value as a float; NaN for nothing."""
    return nan if value is None else float(value)  # type: ignore[arg-type]


def sortable(value: object) -> float | None:
    """A value to sort by; None, which equals itself, where there is none."""
    found = number(value)
    return found if isfinite(found) else None


def in_percent(metric: Metric) -> bool:
    """Whether tables and axes show a metric in percent: a share whose format says nothing else."""
    return metric.is_share and not metric.format


def unsigned(text: str) -> str:
    """A number as it is printed, without the sign of one that was rounded to zero."""
    return text.removeprefix("-") if _is_zero(text) else text


def _is_zero(text: str) -> bool:
    return not set(text) & set("123456789")


def value_text(value: object, declaration: Declaration, *, digits: int) -> str:
    """A value of what the study's cells are compared by."""
    return measured_text(value, declaration.primary, digits=digits)


def measured_text(value: object, metric: Metric, *, digits: int) -> str:
    """A value of a metric: in its own format, shares in percent, others as plain text."""
    found = number(value)
    if not isfinite(found):
        return DASH
    if metric.format:
        return unsigned(format(found, metric.format))
    return unsigned(f"{100 * found:.{digits}f}") if in_percent(metric) else plain_text(found)


def plain_text(value: object) -> str:
    """Counts in full, with a comma before each thousand, others with four significant digits."""
    found = number(value)
    if not isfinite(found):
        return DASH
    whole = found.is_integer() and abs(found) < LONGEST_COUNT
    return unsigned(f"{found:,.0f}" if whole else f"{found:.4g}")


def uncertain_text(value: float, half: float) -> str:
    """'0.067490 ± 0.000012': both to the half's second digit, with an exponent where long."""
    if half <= 0:
        return f"{plain_text(value)} ± 0"
    places, largest = 1 - floor(log10(half)), max(abs(value), half)
    if places <= MOST_PLACES and largest < 10**MOST_PLACES:
        digits = max(0, places)
        return f"{unsigned(f'{value:,.{digits}f}')} ± {half:,.{digits}f}"
    exponent = floor(log10(largest))
    rest = max(0, places + exponent)
    return f"({value / 10**exponent:.{rest}f} ± {half / 10**exponent:.{rest}f})e{exponent:+03d}"


def difference_text(value: object, declaration: Declaration, *, digits: int) -> str:
    """A difference with its sign, in points for shares."""
    text = value_text(value, declaration, digits=digits)
    return f"+{text}" if number(value) > 0 and not _is_zero(text) else text


def printed_text(value: object, declaration: Declaration) -> str:
    """A value as its source printed it: every digit, shares in percent."""
    found = number(value)
    if not isfinite(found):
        return DASH
    return f"{100 * found:.6g}" if in_percent(declaration.primary) else f"{found:.10g}"


def p_text(value: object) -> str:
    """A p-value with three decimals."""
    p = number(value)
    if not isfinite(p):
        return DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def share_text(value: object) -> str:
    """A share in percent with its sign."""
    share = number(value)
    return f"{unsigned(f'{100 * share:.1f}')} %" if isfinite(share) else DASH


def bounds_text(low: object, high: object, declaration: Declaration, *, digits: int) -> str:
    """An interval in brackets, a dash where there is none."""
    if not isfinite(number(low)):
        return DASH
    ends = [value_text(end, declaration, digits=digits) for end in (low, high)]
    return f"[{ends[0]}, {ends[1]}]"


def estimate_text(row: Mapping[str, object], declaration: Declaration, *, digits: int) -> str:
    """'97.9 ± 0.2 (10)' for means, '187/200 93.5 % [89.1, 96.2]' for successes."""
    if declaration.is_success:
        bounds = bounds_text(row["low"], row["high"], declaration, digits=1)
        share = share_text(row["estimate"])
        text = f"{plain_text(row['successes'])}/{row['n']:,} {share} {bounds}"
    else:
        half = (number(row["high"]) - number(row["low"])) / 2
        if not isfinite(half):
            text = value_text(row["estimate"], declaration, digits=digits)
        elif declaration.is_share or declaration.primary.format:
            ends = (value_text(v, declaration, digits=digits) for v in (row["estimate"], half))
            text = " ± ".join(ends)
        else:
            text = uncertain_text(number(row["estimate"]), half)
        text += f" ({row['n']:,})"
    return f"{text}, {not_converged_text(row)}" if row["not_converged"] else text


def not_converged_text(row: Mapping[str, object]) -> str:
    """How many of a cell's finished runs did not converge: '3/10 not converged'."""
    return tr("{n:,}/{finished:,} not converged", n=row["not_converged"], finished=row["finished"])


def decimals(cells: pd.DataFrame, declaration: Declaration) -> int:
    """Two decimals where an interval is narrower than ± 0.05 points, one otherwise."""
    half = 100 * (cells["high"] - cells["low"]) / 2
    return 2 if not declaration.is_success and bool(((half > 0) & (half < 0.05)).any()) else 1


def metric_label(declaration: Declaration) -> str:
    """The metric in words, with its unit."""
    return tr("first number") if declaration.computes else label_of(declaration.primary)


def label_of(metric: Metric) -> str:
    """A metric in words, with its unit."""
    return f"{tr_known(metric.words)} (%)" if in_percent(metric) else tr_known(metric.words)


def caption(declaration: Declaration, *, columns: bool = False) -> str:
    """What an entry shows, how it was selected, and what was left out.

    With `columns`, interval and numbers of runs stand in columns of their own.
    """
    if declaration.is_success:
        body = tr(
            "Successes out of finished runs, in percent with the 95 % Wilson "
            "interval. Runs that did not converge count as no success."
        )
    else:
        label = metric_label(declaration)
        shown = (
            tr(
                "mean over all n finished runs, converged or not, and its 95 % interval "
                "over replicates; mean of converged: of those alone, which nothing tests"
            )
            if columns
            else tr(
                "mean over all finished runs, converged or not, ± half of the 95 % "
                "interval over replicates (number of runs)"
            )
        )
        body = f"{label[:1].upper()}{label[1:]}: {shown}. {_lost(declaration)}"
    bold = tr("Bold: better than the runner-up at the 5 % level, tested with all others.")
    return f"{body} {rule_caption(declaration)} {bold}"


def _lost(declaration: Declaration) -> str:
    """What a run counts as that is not finite."""
    metric = declaration.primary
    if not metric.is_share:
        return tr(
            "A run that is not finite counts as the worst; then the median stands for the mean."
        )
    if declaration.chance is None:
        return tr("A run that is not finite counts as {worst:g} %.", worst=100 * metric.worst)
    return tr(
        "A run that is not finite counts as guessing, {chance:.3g} %.",
        chance=100 * declaration.chance,
    )


def rule_caption(declaration: Declaration) -> str:
    """Which state of a run is reported, and what was tuned before; it stands in every caption."""
    rule, tuning = tr_known(selection(declaration.selection).caption), declaration.tuning
    if tuning is None:
        return rule
    tuned = [factor for factor in declaration.factors if factor.role is FactorRole.NUISANCE]
    chosen = "; ".join(_chosen(factor, declaration) for factor in tuned)
    replicates = trn("{n} replicate", "{n} replicates", tuning.replicates)
    return tr(
        "{rule} Tuned for each cell on validation, with {trials} trials of "
        "{replicates} that no table reports: {chosen}.",
        rule=rule,
        trials=tuning.trials,
        replicates=replicates,
        chosen=chosen,
    )


def _chosen(factor: Factor, declaration: Declaration) -> str:
    """'learning rate 0.1 in 3 cells, 0.01 in 1'."""
    counts = Counter(cell.factors[factor.name] for cell in declaration.cells)
    first, *rest = [(level, counts[level]) for level in factor.levels if counts[level]]
    said = [tr("{level} in {count}", level=level, count=count) for level, count in rest]
    cells = trn("{level} in {n} cell", "{level} in {n} cells", first[1], level=first[0])
    return f"{factor.label} {', '.join([cells, *said])}"


def baseline_caption(declaration: Declaration) -> str:
    """What the columns of the comparison show; empty without a baseline."""
    if declaration.baseline is None:
        return ""
    return tr(
        "Each cell minus {baseline}. {comparison_caption}",
        baseline=declaration.baseline,
        comparison_caption=comparison_caption(declaration),
    )


def comparison_caption(declaration: Declaration) -> str:
    """What the columns of a table of comparisons show, and which rule selected the values."""
    unit = tr(" in points") if in_percent(declaration.primary) else ""
    verdict = f"{_verdict_caption(declaration)} {rule_caption(declaration)}"
    if not declaration.paired:
        test = tr("Fisher's exact test") if declaration.is_success else tr("Welch's t test")
        return tr(
            "Differences{unit} of the means over all finished runs (n: the smaller "
            "number of both), with intervals that hold all of them together with 95 "
            "%. Cells do not have the same replicates, so nothing is paired: p of "
            "{test}, Holm-corrected over all comparisons of the study. {verdict}",
            unit=unit,
            test=test,
            verdict=verdict,
        )
    test = tr("McNemar's exact test") if declaration.is_success else tr("the sign-flip test")
    return tr(
        "Differences{unit} over all replicates that both finished (n), with "
        "intervals that hold all of them together with 95 %. p of {test}, joint over "
        "all comparisons of the study (step-down max-T); it may decide where the "
        "interval, of a single step, touches 0. {looks_caption}{verdict}",
        unit=unit,
        test=test,
        looks_caption=_looks_caption(declaration),
        verdict=verdict,
    )


def _looks_caption(declaration: Declaration) -> str:
    """At which replicates is looked, and at which level; empty for a single look at all."""
    if not declaration.looks:
        return ""
    looks = Looks(declaration.looks, len(asked(declaration)))
    at = ", ".join(map(str, looks.at))
    return tr(
        "Looked at with {at} replicates, each time at level {level:.2g}; p and "
        "intervals are corrected for it, and a cell that is decided gets no more "
        "runs. ",
        at=at,
        level=looks.level,
    )


def _verdict_caption(declaration: Declaration) -> str:
    if declaration.equivalence is None:
        return tr("The study declares no margin of equivalence, so no cell is called equivalent.")
    band, percent = declaration.equivalence, in_percent(declaration.primary)
    width, points = (f"{100 * band:g}", tr(" points")) if percent else (f"{band:g}", "")
    return tr(
        "Equivalent: two one-sided tests at 5 %, joint over the study, reject a "
        "difference of {width}{points} or more, the margin declared in the study.",
        width=width,
        points=points,
    )
