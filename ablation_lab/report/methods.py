"""How the numbers were made, with the works that say so, and where they come from.

In: studies. Out: sentences that end with the numbers of their references, and the references; only
methods that these studies used are named. And facts: commit, versions, machine, data, settings,
time, command; what all studies share is said once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ablation_lab.report.cautions import common_settings
from ablation_lab.report.language import msgid, tr, tr_known
from ablation_lab.report.study import Study
from ablation_lab.report.told import Fact, Told
from ablation_lab.report.works import Work, references
from ablation_lab.statistics.comparisons import MCNEMAR
from ablation_lab.statistics.costs import cost_of, duration
from ablation_lab.statistics.planning import Procedure
from ablation_lab.statistics.unpaired import FISHER
from ablation_lab.study.files import flat

UNTIL_DECIDED = "until decided"
STATEMENTS = (
    (
        "t",
        msgid(
            "A mean over all finished runs of a cell, converged or not, carries an "
            "interval by Student's t over replicates, inside the range of the metric; "
            "below fifty runs with the quantile of 97 %, so that skewed accuracies are "
            "covered too. n runs that are all of one kind leave room for 1 - 0.05^(1/n) "
            "of another kind."
        ),
    ),
    (
        "two kinds of runs",
        msgid(
            "Where the runs of a cell are of two kinds (a gap wider than five points and "
            "than twice the spread on both of its sides), the interval of the mean "
            "follows from the exact interval of the shares, and a note says both kinds "
            "and the median."
        ),
    ),
    ("Wilson", msgid("A success share k/n carries Wilson's 95 % interval.")),
    (
        Procedure.SIGN_FLIPS.value,
        msgid(
            "Replicate r has the same data order in every cell, or the same seed where "
            "runs were imported, so differences are paired. All of a study are tested "
            "together by step-down max-T over joint sign flips, one sign for each "
            "replicate, exact up to thirteen replicates; this assumes that the "
            "differences are jointly symmetric where there is no effect. Their intervals "
            "come from the same distribution."
        ),
    ),
    (
        Procedure.NORMAL.value,
        msgid(
            "Differences of two to five replicates are tested by paired t tests with the "
            "larger of their own spread and that of all, Holm-corrected; they assume "
            "normal spread."
        ),
    ),
    (
        Procedure.WELCH.value,
        msgid(
            "Cells of which the replicates are no pairs are compared by Welch's t tests, "
            "Holm-corrected over the study, with Bonferroni's intervals; below six runs "
            "with the larger of a cell's own spread and that of all. Ranks decide (Mann "
            "and Whitney) where a run counts as infinitely bad."
        ),
    ),
    (FISHER, msgid(
        "Success shares of cells without pairs are compared by Fisher's exact test, "
        "Holm-corrected; their difference carries Newcombe's interval."
    )),
    (
        UNTIL_DECIDED,
        msgid(
            "Comparisons are looked at while runs come in, at numbers of replicates that "
            "were fixed before, and a cell gets more runs only as long as one of its "
            "comparisons is open: neither better, worse nor equivalent. All looks test "
            "at one level, so low that together they err in 5 %. p is the overall level "
            "at which a look would have decided; intervals of differences hold at every "
            "look, those of a cell's mean are not corrected for them."
        ),
    ),
    (MCNEMAR, msgid(
        "Success shares are compared by McNemar's exact test, joint over all "
        "comparisons; their difference carries Newcombe's interval."
    )),
)  # fmt: skip
CONVERGENCE = msgid(
    "A run did not converge by declared rules: a loss or parameter is not finite, or "
    "at the end the training loss exceeds 0.98·ln C, or the accuracy is at most five "
    "points above chance. Where a study measures an accuracy, that decides and the "
    "loss does not: a network that is sure and sometimes errs has a high loss."
)
IMPORTED = msgid(
    "A run did not converge where its value is not finite, or, where the accuracy of "
    "guessing is given, at most five points above it."
)


def methods(studies: Sequence[Study | Told]) -> tuple[str, ...]:
    """The sentences on methods that these studies used, with reference numbers."""
    if not studies:
        return ()
    used, called = used_words(studies), cited(studies)
    trained = [study for study in studies if not study.declaration.imported]
    said = [tr(CONVERGENCE if trained else IMPORTED)]
    for word, text in STATEMENTS:
        if word in used:
            said.append(tr(text) + _numbers([word], called))
    ideas = [work for work in called if not set(work.words) & {word for word, _ in STATEMENTS}]
    if ideas:
        listed = ", ".join(str(called.index(work) + 1) for work in ideas)
        said.append(tr("Data, models and training follow [{listed}].", listed=listed))
    return tuple(said)


def cited(studies: Sequence[Study | Told]) -> tuple[Work, ...]:
    """The references that these studies call for."""
    return references(used_words(studies))


def used_words(studies: Sequence[Study | Told]) -> set[str]:
    """The names of intervals, tests, trainers, data and settings that the studies used."""
    return {word for study in studies for word in own_words(study)}


def own_words(study: Study | Told) -> tuple[str, ...]:
    """The same names of one study."""
    return study.words if isinstance(study, Told) else tuple(dict.fromkeys(_words(study)))


def _words(study: Study) -> Iterator[str]:
    yield from (str(name) for name in study.cells["interval"])
    yield from (str(name) for name in study.cells["test"] if name)
    yield from (str(name) for name in study.frame["trainer"] if name)
    if study.declaration.looks:
        yield UNTIL_DECIDED
    for cell in study.declaration.cells:
        yield from _leaves(cell.config)
    for factor in study.declaration.factors:
        yield factor.name
        yield from factor.levels


def _leaves(config: Mapping[str, Any]) -> Iterator[str]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _leaves(value)
            if name == "ensemble" and value:
                yield name
        elif name == "keep_prob" and value != 1:
            yield name
        elif isinstance(value, str):
            yield value


def _numbers(words: Sequence[str], called: Sequence[Work]) -> str:
    found = [str(i) for i, work in enumerate(called, 1) if set(work.words) & set(words)]
    return f" [{', '.join(found)}]" if found else ""


FIRST = ("commit", "machine", "python")
DIGITS = 16


def facts(studies: Sequence[Study | Told], *, profile: str) -> tuple[Fact, ...]:
    """Every fact of the provenance; empty without studies."""
    if not studies:
        return ()
    names = ",".join(study.name for study in studies if not study.declaration.imported)
    trained = ((tr("command"), f"ablation run profile={profile} study=[{names}]"),) if names else ()
    return (
        *trained,
        *_shared(studies),
        *_data(studies),
        *(fact for kind in zip(*map(facts_of, studies), strict=True) for fact in kind if fact),
    )


def facts_of(study: Study | Told) -> tuple[Fact | None, ...]:
    """A study's time, cost, settings and protocol; None where it has none."""
    if isinstance(study, Told):
        return study.facts
    cost, name = _cost(study), study.name
    # What it promised before its first run, and what it changed since.
    promised = " ".join(map(tr_known, study.protocol.sentences)) if study.protocol else ""
    return (
        (tr("time of {name}", name=name), _time(study)),
        (tr("cost of {name}", name=name), cost) if cost else None,
        (tr("settings of {name}", name=name), _configuration(study)),
        (tr("protocol of {name}", name=name), promised) if study.protocol else None,
    )


def _cost(study: Study) -> str:
    rates = study.declaration.provenance.get("rates") or {}
    return "; ".join(map(tr_known, cost_of(study.frame, study.compared.every, rates).split("; ")))


def _shared(studies: Sequence[Study | Told]) -> list[Fact]:
    each = [
        {name: str(value) for name, value in flat(study.declaration.provenance)}
        for study in studies
    ]
    names = list(dict.fromkeys([*FIRST, *sorted({name for one in each for name in one})]))
    found = []
    for name in names:
        values = {s.name: one[name] for s, one in zip(studies, each, strict=True) if name in one}
        distinct = list(dict.fromkeys(values.values()))
        if len(distinct) == 1:
            found.append((name, distinct[0]))
        elif distinct:
            text = "; ".join(f"{study}: {value}" for study, value in values.items())
            found.append((name, text))
    return found


def _data(studies: Sequence[Study | Told]) -> list[Fact]:
    used = {data.name: data for study in studies for data in study.declaration.data}
    return [
        (
            tr("data {name}", name=name),
            tr("{about} (identity {sum})", about=tr_known(data.about), sum=data.checksum[:DIGITS]),
        )
        for name, data in sorted(used.items())
    ]


def _time(study: Study) -> str:
    seconds = study.frame["seconds"].dropna()
    steps = study.frame["steps"].dropna()
    trainers, devices = _named(study, "trainer"), _named(study, "device")
    time = tr_known(duration(float(seconds.sum())))
    said = tr(
        "{time} in {n} runs, {steps:,.0f} steps", time=time, n=len(seconds), steps=steps.sum()
    )
    said += tr(", trained {how}", how=trainers) if trainers else ""
    return said + (tr(", on {devices}", devices=devices) if devices else "")


def _named(study: Study, column: str) -> str:
    """What stands in a column of the runs, with the number of runs where it is not the same."""
    counts = study.frame[column].loc[lambda values: values != ""].value_counts().sort_index()
    if len(counts) == 1:
        return str(counts.index[0])
    return tr(" and ").join(f"{name} ({count})" for name, count in counts.items())


def _configuration(study: Study) -> str:
    declaration = study.declaration
    fixed = [f"{name}={value}" for name, value in common_settings(declaration).items()]
    varied = [f"{f.name} ∈ {{{', '.join(f.levels)}}}" for f in declaration.factors]
    looks = ", ".join(map(str, declaration.looks)) or str(declaration.replicates)
    by = {"n": looks, "rule": declaration.selection}
    rule = (
        tr("{n} replicates until decided, values by {rule}", **by)
        if declaration.looks
        else tr("{n} replicates, values by {rule}", **by)
    )
    return "; ".join(filter(None, [rule, ", ".join(varied), ", ".join(fixed)]))
