"""Where the numbers come from: commit, versions, machine, data, settings, time, command.

In: studies. Out: facts in the order in which they are printed. What all studies share is said
once; what differs is said for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ablation_lab.report.document import Fact
from ablation_lab.report.findings import common_settings
from ablation_lab.report.study import Study

FIRST = ("commit", "machine", "python")
DIGITS = 16


def facts(studies: Sequence[Study], *, profile: str) -> tuple[Fact, ...]:
    """Every fact of the provenance; empty without studies."""
    if not studies:
        return ()
    names = ",".join(study.name for study in studies)
    return (
        Fact("command", f"ablation run profile={profile} study=[{names}]"),
        *_shared(studies),
        *_data(studies),
        *(Fact(f"time of {study.name}", _time(study)) for study in studies),
        *(Fact(f"settings of {study.name}", _configuration(study)) for study in studies),
    )


def duration(seconds: float) -> str:
    """Seconds as a person reads them."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _shared(studies: Sequence[Study]) -> list[Fact]:
    each = [_flat(study.declaration.provenance) for study in studies]
    names = list(dict.fromkeys([*FIRST, *sorted({name for one in each for name in one})]))
    found = []
    for name in names:
        values = {s.name: one[name] for s, one in zip(studies, each, strict=True) if name in one}
        distinct = list(dict.fromkeys(values.values()))
        if len(distinct) == 1:
            found.append(Fact(name, distinct[0]))
        elif distinct:
            text = "; ".join(f"{study}: {value}" for study, value in values.items())
            found.append(Fact(name, text))
    return found


def _flat(provenance: Mapping[str, Any], place: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in provenance.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{place}{name}.")
        else:
            flat[f"{place}{name}"] = str(value)
    return flat


def _data(studies: Sequence[Study]) -> list[Fact]:
    used = {data.name: data for study in studies for data in study.declaration.data}
    return [
        Fact(f"data {name}", f"{data.about} (identity {data.checksum[:DIGITS]})")
        for name, data in sorted(used.items())
    ]


def _time(study: Study) -> str:
    seconds = study.frame["seconds"].dropna()
    steps = study.frame["steps"].dropna()
    trainers, devices = _named(study, "trainer"), _named(study, "device")
    return (
        f"{duration(float(seconds.sum()))} in {len(seconds)} runs, {steps.sum():,.0f} steps"
        f"{f', trained {trainers}' if trainers else ''}{f', on {devices}' if devices else ''}"
    )


def _named(study: Study, column: str) -> str:
    """What stands in a column of the runs, with the number of runs where it is not the same."""
    counts = study.frame[column].loc[lambda values: values != ""].value_counts().sort_index()
    if len(counts) == 1:
        return str(counts.index[0])
    return " and ".join(f"{name} ({count})" for name, count in counts.items())


def _configuration(study: Study) -> str:
    declaration = study.declaration
    fixed = [f"{name}={value}" for name, value in common_settings(declaration).items()]
    varied = [f"{f.name} ∈ {{{', '.join(f.levels)}}}" for f in declaration.factors]
    rule = f"{declaration.replicates} replicates, values by {declaration.selection}"
    return "; ".join(filter(None, [rule, ", ".join(varied), ", ".join(fixed)]))
