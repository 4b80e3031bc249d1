"""The numbers of a report by name, for a text that somebody writes about it.

In: studies, and what answers the reference values. Out: `lab.json`, `lab.tex` and `lab.typ`, which
give every number as the tables print it. Names are `study/cell/estimate`, of a further metric
`study/cell/metric/estimate`, of a contrast `study/contrast/difference` and of a reference value
`values/id/estimate`; cells, contrasts and ids are those of cells.csv, comparisons.csv and
values.csv.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

from ablation_lab.report.formatting import (
    decimals,
    difference_text,
    estimate_text,
    in_percent,
    measured_text,
    number,
    p_text,
    plain_text,
)
from ablation_lab.report.study import Study
from ablation_lab.report.text import latex, plain, plain_values
from ablation_lab.report.told import Answer
from ablation_lab.statistics.comparisons import Comparison
from ablation_lab.statistics.outcomes import further_estimates
from ablation_lab.study.metric import Metric

FILE = "lab.json"
PROFILE = "profile"
# What ends a name or begins something else in LaTeX, Typst or Markdown, and the mark of escapes.
UNSAFE = re.compile(r'[\\{}%#~^"/!]')
TYPST = """\
// Numbers of the report: #import "lab.typ": lab, labvalue
#let numbers = json("lab.json")
#let lab(name) = {
  assert(name in numbers, message: "the report has no number " + repr(name))
  numbers.at(name).text
}
#let labvalue(name, written) = written
"""
LATEX = r"""% Numbers of the report: \input this file, then write \lab{study/cell/estimate}.
\ifdefined\labset\else
\newcommand\labset[2]{\expandafter\gdef\csname lab:\detokenize{#1}\endcsname{#2}}
\newcommand\lab[1]{\ifcsname lab:\detokenize{#1}\endcsname
  \csname lab:\detokenize{#1}\endcsname\else\labunknown{#1}\fi}
\newcommand\labunknown[1]{\textbf{??}\errmessage{The report has no number \detokenize{#1}}}
\newcommand\labvalue[2]{#2}
\fi
"""


@dataclass(frozen=True)
class Number:
    """A number as the tables print it, and unrounded in their unit; none for a word."""

    text: str
    value: float | None = None


Numbers = dict[str, Number]


def name_of(*parts: str) -> str:
    """The name of a number, which can stand unquoted in LaTeX and quoted in Typst and Markdown."""
    one = (" ".join(plain(part).split()) for part in parts)
    return "/".join(UNSAFE.sub(lambda found: f"!{ord(found[0]):02x}", part) for part in one)


def numbers_of(study: Study) -> Numbers:
    """Every number of a study: of its cells, by each metric, and of its contrasts."""
    return dict([*_of_cells(study), *_of_further(study), *_of_contrasts(study)])


def _of_cells(study: Study) -> Iterator[tuple[str, Number]]:
    declaration, digits = study.declaration, decimals(study.cells, study.declaration)
    rows: list[dict[Any, Any]] = study.cells.to_dict("records")
    for row in rows:
        named = partial(name_of, study.name, str(row["cell"]))
        yield named("text"), Number(estimate_text(row, declaration, digits=digits))
        for field in ("n", "not_converged", "successes"):
            if isfinite(row[field]):
                yield named(field), _count(row[field])
        for field in ("estimate", "low", "high"):
            yield named(field), _measured(row[field], declaration.primary, digits)


def _of_further(study: Study) -> Iterator[tuple[str, Number]]:
    metrics = {metric.name: metric for metric in study.declaration.metrics}
    digits = decimals(study.cells, study.declaration)
    for row in further_estimates(study.frame, study.declaration).to_dict("records"):
        named = partial(name_of, study.name, str(row["cell"]), str(row["metric"]))
        yield named("n"), _count(row["n"])
        for field in ("estimate", "low", "high"):
            yield named(field), _measured(row[field], metrics[row["metric"]], digits)


def _of_contrasts(study: Study) -> Iterator[tuple[str, Number]]:
    digits = decimals(study.cells, study.declaration)
    for made in study.contrasts:
        contrast = f"{made.first.cell} - {made.second.cell}"
        for field, found in _of_contrast(made, study, digits):
            yield name_of(study.name, contrast, field), found


def _of_contrast(made: Comparison, study: Study, digits: int) -> Iterator[tuple[str, Number]]:
    declaration, found = study.declaration, made.difference
    measured = partial(_measured, metric=declaration.primary, digits=digits)
    text = difference_text(found.estimate, declaration, digits=digits)
    yield "difference", Number(text, measured(found.estimate).value)
    yield "low", measured(found.low)
    yield "high", measured(found.high)
    yield "n", _count(found.n)
    yield "p", Number(p_text(made.p), _finite(made.p))
    yield "verdict", Number(made.verdict)


def numbers_of_values(answers: Iterable[Answer]) -> Numbers:
    """What each reference value says, what we have, and the verdict; in the unit of the source."""
    found: Numbers = {}
    for answer in answers:
        named = partial(name_of, "values", answer.reference.claim_id)
        ours = answer.interval
        found[named("printed")] = Number(answer.reference.shown, answer.reference.printed)
        found[named("n")] = _count(ours.n)
        found[named("verdict")] = Number(answer.verdict.text)
        for field, value in (("estimate", ours.estimate), ("low", ours.low), ("high", ours.high)):
            found[named(field)] = Number(plain_text(value), _finite(value))
    return found


def _measured(value: object, metric: Metric, digits: int) -> Number:
    scale = 100 if in_percent(metric) else 1
    return Number(measured_text(value, metric, digits=digits), _finite(number(value) * scale))


def _count(value: float) -> Number:
    return Number(f"{value:.0f}", float(value))


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def write_numbers(numbers: Mapping[str, Number], folder: Path) -> None:
    """Write the numbers of one study, or of a report, as JSON."""
    values = {name: plain_values(found) for name, found in numbers.items()}
    text = json.dumps(values, indent=0, ensure_ascii=False)
    (folder / FILE).write_text(f"{text}\n", encoding="utf-8")


def read_numbers(path: Path) -> Numbers:
    """Read what `write_numbers` wrote. ValueError for anything else."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return {name: Number(**found) for name, found in known.items()}
    except (TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error


def write_all_numbers(answers: Sequence[Answer], folder: Path, *, profile: str) -> None:
    """Write the numbers of the reference values and of every study that the folder holds."""
    numbers = {PROFILE: Number(profile), **numbers_of_values(answers)}
    for path in sorted(folder.glob(f"*/{FILE}")):
        numbers |= read_numbers(path)
    write_numbers(numbers, folder)
    (folder / "lab.typ").write_text(TYPST, encoding="utf-8")
    lines = [rf"\labset{{{name}}}{{{latex(found.text)}}}" for name, found in numbers.items()]
    (folder / "lab.tex").write_text("\n".join([LATEX, *lines, ""]), encoding="utf-8")
