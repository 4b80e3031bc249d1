"""What a study found that asks nothing in its own words: what its design asks, by tests.

In: a Study. Out: statements, one of each kind that the design has before a second one: main effects
that survive, the largest interaction, the steps of a ladder, the best against the baseline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import isfinite

from ablation_lab.report.formatting import decimals, estimate_text, metric_label
from ablation_lab.report.language import msgid, tr, tr_known
from ablation_lab.report.phrases import (
    capital,
    level_text,
    levels_text,
    said_text,
    within_text,
)
from ablation_lab.report.sentences import (
    Said,
    Sides,
    Statement,
    Tested,
    tested,
    wording_of,
)
from ablation_lab.report.study import Study
from ablation_lab.statistics.attribution import Kind
from ablation_lab.statistics.comparisons import Comparison, Standing, against_best
from ablation_lab.statistics.effects import Contrast, effect_at
from ablation_lab.statistics.intervals import LEVEL_OF_TESTS
from ablation_lab.statistics.planning import Procedure
from ablation_lab.store.layers import ends
from ablation_lab.study.schema import Design

LARGE = 1e6  # from where on a quotient has an exponent
HIGHEST = msgid("{subject} is highest in {n} of {all} cells alike: {value}")
LOWEST = msgid("{subject} is lowest in {n} of {all} cells alike: {value}")
STEEP = 10  # times, from which on the gradients of layers are said to differ


def of_design(study: Study) -> list[Statement]:
    """One statement of each kind that the design has, then more of them up to three."""
    kinds = [_main_effects(study), _interactions(study)[:1], _steps(study), _to_baseline(study)]
    found = [kind for kind in kinds if kind] or [_best(study)]
    first, more = [kind[0] for kind in found], [each for kind in found for each in kind[1:]]
    return [*first, *sorted(more, key=lambda statement: statement.rank)]


def of_layers(study: Study) -> list[Statement]:
    """How small and how large the first layer's gradient is by the last one's, as probes saw it."""
    norms = study.layers.norms
    if norms.empty:
        return []
    start = ends(norms[norms["step"] == norms["step"].min()])
    medians = start.groupby("cell", sort=False)["ratio"].median().dropna().sort_index()
    if medians.empty:
        return []
    low, high = str(medians.idxmin()), str(medians.idxmax())
    if medians[low] > 1 / STEEP and medians[high] < STEEP:
        return []
    factors = {factor.name: factor for factor in study.declaration.factors}
    levels = {cell.cell: study.declaration.levels_of(cell) for cell in study.declaration.cells}
    least, most = (
        tr(
            "{times} times the last layer's with {levels}",
            times=_times(float(medians[cell])),
            levels=levels_text(levels[cell], factors),
        )
        for cell in (low, high)
    )
    text = tr(
        "before the first step the first layer's gradient is {least}, the smallest of {n} cells, "
        "and {most}, the largest",
        least=least, n=len(medians), most=most,
    )  # fmt: skip
    return [Statement(Said(capital(text), tr("medians over runs, not tested")))]


def _times(ratio: float) -> str:
    """A quotient with two digits, without an exponent where it is short."""
    return f"{ratio:,.0f}" if 10 <= ratio < LARGE else f"{ratio:.2g}"


def _main_effects(study: Study) -> list[Statement]:
    """The largest main effect of every factor that has one, the largest first."""
    found: dict[str, Contrast] = {}
    for each in _surviving(study, terms=1):
        found.setdefault(each.term[0], each)
    return [_main_effect(study, each) for each in found.values()]


def _surviving(study: Study, *, terms: int) -> list[Contrast]:
    """The effects of so many factors that their test supports, the largest first."""
    kept = [
        each
        for each in study.effects
        if each.kind is Kind.EFFECT and len(each.term) == terms and each.p <= LEVEL_OF_TESTS
    ]
    return sorted(kept, key=lambda each: -abs(each.interval.estimate))


def _effect(study: Study, made: Contrast) -> Tested:
    higher = made.interval.estimate > 0
    better = higher == study.declaration.higher_is_better
    standing = Standing.BETTER if better else Standing.WORSE
    few = made.interval.method == Procedure.NORMAL
    return Tested(made.interval, made.p, standing, assumes=few)


def _main_effect(study: Study, made: Contrast) -> Statement:
    """A main effect; where it differs by another factor, what it is at that one's levels."""
    words, found = wording_of(study, len(study.effects)), _effect(study, made)
    factor = study.declaration.factor(made.term[0])
    reference = study.factorial.reference[factor.name] if study.factorial else ""
    within = within_text("", [tr("all other factors")])
    sides = Sides(level_text(factor, made.levels[0]), factor.said(reference), within)
    plain = f"{words.difference(found, sides)}{_but(study, made)}"
    said = Said(capital(plain), words.evidence(found))
    return Statement(said, found)


def _but(study: Study, made: Contrast) -> str:
    """What an effect is at two levels of the factor that it differs by most; '' where by none."""
    (name,), (level,) = made.term, made.levels
    for each in _surviving(study, terms=2):
        chosen = dict(zip(each.term, each.levels, strict=True))
        if chosen.pop(name, None) == level:
            ((other, at),) = chosen.items()
            here, there = _at_two(study, (name, level), (other, at))
            return tr("; but {here}, and {there}", here=here, there=there)
    return ""


def _at_two(study: Study, change: tuple[str, str], places: tuple[str, str]) -> tuple[str, str]:
    """What a change from the reference does at a level of another factor, and at its reference."""
    words, data = wording_of(study, len(study.effects)), study.factorial
    if data is None:
        raise ValueError(f"study {study.name}: expected a factorial, found none")
    other, at = study.declaration.factor(places[0]), places[1]
    there = data.reference[other.name]
    sizes = [words.signed(effect_at(data, *change, other.name, each)) for each in (at, there)]
    named = zip(sizes, (level_text(other, at), other.said(there)), strict=True)
    here, elsewhere = (
        tr("by {size} with {level}", size=f"{size}{words.unit}", level=level)
        for size, level in named
    )
    return here, elsewhere


def _interactions(study: Study) -> list[Statement]:
    """Every interaction of two factors that its test supports, the largest first."""
    return [_interaction(study, each) for each in _surviving(study, terms=2)]


def _interaction(study: Study, made: Contrast) -> Statement:
    """What a level changes at two levels of another factor, and by how much these differ."""
    words, found = wording_of(study, len(study.effects)), _effect(study, made)
    one = study.declaration.factor(made.term[0])
    level, at = made.levels
    here, there = _at_two(study, (one.name, level), (made.term[1], at))
    before = study.factorial.reference[one.name] if study.factorial else ""
    text = tr(
        "{level} instead of {other} changes {subject} {here}, but {there}",
        level=level_text(one, level), other=one.said(before), subject=words.subject, here=here,
        there=there,
    )  # fmt: skip
    numbers = tr("between them {evidence}", evidence=words.evidence(found))
    return Statement(Said(capital(text), numbers), found)


def _steps(study: Study) -> list[Statement]:
    """The steps of a ladder that a test tells from the step before, the largest first."""
    if study.declaration.design is not Design.LADDER:
        return []
    made = [each.comparison for each in study.attributions]
    found = [_compared(study, each, len(made)) for each in made if each.decided]
    return sorted(found, key=lambda statement: statement.rank)


def _to_baseline(study: Study) -> list[Statement]:
    """The largest gain over the baseline and the largest loss; else what is not decided."""
    if study.declaration.design is Design.LADDER:
        return []
    made, family = study.comparisons, len(study.compared.every)
    counts = Counter(_counted_as(each) for each in made)
    tally = ", ".join(
        tr("{n} {word}", n=count, word=tr_known(word)) for word, count in sorted(counts.items())
    )
    every = tr("; of {n} comparisons with the baseline: {tally}", n=len(made), tally=tally)
    said = every if len(made) > 1 else ""
    found: list[Statement] = []
    # What is worse than the baseline of a factorial is what its effects say.
    for word in (Standing.BETTER,) if study.effects else (Standing.BETTER, Standing.WORSE):
        largest = _largest(each for each in made if each.standing is word)
        found += [_compared(study, each, family, "" if found else said) for each in largest]
    if not found and not any(each.decided for each in made):
        found = [_compared(study, each, family, said) for each in _largest(made)]
    return found


def _largest(made: Iterable[Comparison]) -> list[Comparison]:
    """The comparison with the largest difference, the first of equal ones; [] of none."""
    known = [each for each in made if isfinite(each.difference.estimate)]
    return sorted(known, key=lambda each: -abs(each.difference.estimate))[:1]


def _counted_as(made: Comparison) -> str:
    """The verdict as it is counted: what needs runs is not decided either."""
    return str(made.standing) if made.decided else "undecided"


def _compared(study: Study, made: Comparison, family: int, places: str = "") -> Statement:
    """The sentence on a cell against another one."""
    words, found, declaration = wording_of(study, family), tested(made), study.declaration
    factors = {factor.name: factor for factor in declaration.factors}
    levels = {cell.cell: declaration.levels_of(cell) for cell in declaration.cells}
    upper, lower = levels[made.first.cell], levels[made.second.cell]
    shared = {name: level for name, level in upper.items() if lower.get(name) == level}
    own, other = ({k: v for k, v in each.items() if k not in shared} for each in (upper, lower))
    of_all = made.second.cell == declaration.baseline and not declaration.baselines
    several = of_all and len(other) > 1
    sides = Sides(
        levels_text(own, factors) or made.first.cell,
        tr("the baseline") if several else said_text(other, factors) or made.second.cell,
        within_text(levels_text(shared, factors)) if shared and not of_all else "",
        (words.value(made.first), words.value(made.second)),
    )
    plain = capital(words.difference(found, sides))
    return Statement(Said(plain, f"{words.evidence(found)}{places}"), found)


def _best(study: Study) -> list[Statement]:
    """The best cell against the runner-up, where no other comparison is asked for."""
    made = against_best(study.outcomes, study.declaration)
    if not made:
        return [_alike(study)]
    beaten = sum(each.standing is Standing.BETTER for each in made)
    every = tr(
        "; the best of {n} cells, better than {beaten} of the others",
        n=len(made) + 1,
        beaten=beaten,
    )
    said = every if len(made) > 1 else ""
    return [_compared(study, made[0], len(made), said)]


def _alike(study: Study) -> Statement:
    """Of several cells that are equally good, or of which one alone has a result."""
    cells = study.cells.dropna(subset=["estimate"])
    best = (
        cells["estimate"].max() if study.declaration.higher_is_better else cells["estimate"].min()
    )
    equal = cells[cells["estimate"] == best]
    words = wording_of(study, 1)
    value = words.value(study.outcomes[str(equal.iloc[0]["cell"])])
    highest = HIGHEST if study.declaration.higher_is_better else LOWEST
    said = tr(highest, subject=words.subject, n=len(equal), all=len(cells), value=value)
    return Statement(Said(capital(said)))


def of_one_cell(study: Study) -> Statement:
    """The estimate of the only cell that has one."""
    (row,) = study.cells.dropna(subset=["estimate"]).to_dict("records")
    digits = decimals(study.cells, study.declaration)
    text = estimate_text({str(k): v for k, v in row.items()}, study.declaration, digits=digits)
    return Statement(Said(capital(f"{metric_label(study.declaration)}: {text}")))
