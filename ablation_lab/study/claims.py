"""The ledger of printed claims: ``conf/claims/<deck>.yaml``, read strictly.

Comes in: the content of the files. Goes out: one ``Claim`` per printed value, bound to what
answers it, or a ``ConfigurationError`` of one line. Nothing here enters the identity of a run.
Pure: no torch, no MLflow, no files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.study.factor import label_of, unknown_levels
from ablation_lab.study.schema import Study
from ablation_lab.study.section import Section
from ablation_lab.study.study import Claim, ClaimKind, Tolerance

# The study whose cells are checks; ``check: name`` in a claim is its cell of that name.
COMPUTED = "computed"
VALUE = "value"
AMONG = ("", "solved")


def read_ledger(files: Mapping[str, object]) -> tuple[Claim, ...]:
    """Read every file of ``conf/claims``; ``files`` maps a file's name to its content."""
    ledger: dict[str, Claim] = {}
    for name, content in files.items():
        top = Section(content, f"claims/{name}.yaml")
        source = top.take("source", str)
        for claim_id, value in top.section("claims").items():
            if claim_id in ledger:
                raise ConfigurationError(
                    f"{top.place}: claim {claim_id!r} stands twice; keep one of them"
                )
            ledger[claim_id] = _claim(claim_id, source, Section(value, f"{top.place}: {claim_id}"))
        top.close()
    return tuple(ledger.values())


def check_studies(ledger: Iterable[Claim], known: Iterable[str]) -> None:
    """Refuse a claim that is bound to a study that no file declares."""
    names = tuple(known)
    for claim in ledger:
        if claim.study and claim.study not in names:
            raise ConfigurationError(
                f"{_place(claim)}: unknown study {claim.study!r}; {nearest(claim.study, names)}"
            )


def with_claims(study: Study, ledger: Iterable[Claim]) -> Study:
    """Return the study with the claims that it answers.

    Errors: ``ConfigurationError`` for a cell with a factor or level that the study does not have.
    """
    claims = tuple(claim for claim in ledger if claim.study == study.name)
    for claim in claims:
        where = {name: (label,) for name, label in claim.cell.items()}
        for key, said in unknown_levels(where, study.factors, ("cell",)):
            raise ConfigurationError(f"{_place(claim)}: {'.'.join(map(str, key))}: {said}")
    return study.model_copy(update={"claims": claims})


def ledger_json(ledger: Iterable[Claim]) -> str:
    """Return the ledger as the text that the store keeps, equal for equal ledgers."""
    return json.dumps([claim_json(claim) for claim in ledger], sort_keys=True, indent=1)


def claim_json(claim: Claim) -> dict[str, Any]:
    """Describe a claim for the report."""
    tolerance = claim.tolerance
    return {
        "claim_id": claim.claim_id,
        "source": claim.source,
        "kind": claim.kind.value,
        "about": claim.about,
        "text": _text(claim.printed),
        "values": list(claim.values),
        "updates": list(claim.updates),
        "tolerance": None
        if tolerance is None
        else {
            "absolute": list(tolerance.absolute),
            "relative": tolerance.relative,
            "why": tolerance.why,
        },
        "study": claim.study,
        "cell": dict(claim.cell),
        "data": claim.data,
        "metric": claim.metric,
        "among": claim.among,
        "not_attempted": claim.not_attempted,
        "note": claim.note,
    }


def _claim(claim_id: str, source: str, section: Section) -> Claim:
    printed = section.take("printed", object, None)
    values, updates = _compared(printed, section)
    study, cell, data, metric = _binding(section)
    claim = Claim(
        claim_id=claim_id,
        source=source,
        kind=section.choice("kind", ClaimKind),
        about=section.take("about", str),
        printed=printed,
        values=values,
        updates=updates,
        tolerance=_tolerance(section, len(values)),
        study=study,
        cell=cell,
        data=data,
        metric=metric,
        among=_among(section),
        not_attempted=section.take("not_attempted", str, ""),
        note=section.take("note", str, ""),
    )
    section.close()
    if bool(claim.study) == bool(claim.not_attempted):
        raise ConfigurationError(
            f"{section.place}: expected one of 'check', 'study' with 'cell', or 'not_attempted' "
            f"with the reason; found {'two' if claim.study else 'none'}"
        )
    fixed = claim.kind in (ClaimKind.EXACT, ClaimKind.CONVERGED)
    if fixed and claim.study and claim.tolerance is None:
        raise ConfigurationError(
            f"{section.place}.tolerance: expected one with its reason for kind {claim.kind.value}, "
            "found none"
        )
    return claim


def _binding(section: Section) -> tuple[str, dict[str, str], str, str]:
    """Return study, cell, data and metric ("" is the study's own)."""
    check = section.take("check", str, "")
    study = section.take("study", str, "")
    if check and study:
        raise ConfigurationError(f"{section.place}: expected 'check' or 'study', found both")
    if check:
        return COMPUTED, {"check": check}, "", VALUE
    cell = {
        name: label_of(value)
        for name, value in section.section("cell", required=bool(study)).items()
    }
    data = section.take("data", str, "")
    return study, cell, data, section.take("metric", str, "")


def _compared(printed: object, section: Section) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Return the numbers that are compared, and the updates after which a curve has them.

    A mapping is a curve: printed index → value. With ``updates_per_epoch`` the index counts epochs
    from 1, without it steps from 0, at each of which the cost is that before the step's update.
    ``compare`` replaces what is printed by a number that follows from it.
    """
    per_epoch = section.take("updates_per_epoch", int, None)
    instead = section.take("compare", float, None)
    if instead is not None:
        return (instead,), ()
    place = f"{section.place}.printed"
    if isinstance(printed, Mapping):
        steps = [index * per_epoch if per_epoch else index + 1 for index in printed]
        return tuple(_number(value, place) for value in printed.values()), tuple(steps)
    if isinstance(printed, list):
        return tuple(_number(value, place) for value in printed), ()
    if printed is None or isinstance(printed, str):
        return (), ()
    return (_number(printed, place),), ()


def _number(value: object, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{place}: expected numbers, found {value!r}")
    return float(value)


def _tolerance(section: Section, count: int) -> Tolerance | None:
    if section.take("tolerance", object, None) is None:
        return None
    inner = section.section("tolerance")
    absolute = inner.take("absolute", object, 0.0)
    listed = absolute if isinstance(absolute, list) else [absolute]
    tolerance = Tolerance(
        absolute=tuple(_number(value, f"{inner.place}.absolute") for value in listed),
        relative=inner.take("relative", float, 0.0),
        why=inner.take("why", str),
    )
    inner.close()
    if len(tolerance.absolute) not in (1, count):
        raise ConfigurationError(
            f"{inner.place}.absolute: expected one number or one for each of the {count} printed "
            f"values, found {len(tolerance.absolute)}"
        )
    return tolerance


def _among(section: Section) -> str:
    among = section.take("among", str, "")
    if among not in AMONG:
        raise ConfigurationError(
            f"{section.place}.among: unknown value {among!r}; {nearest(among, AMONG[1:])}"
        )
    return among


def _place(claim: Claim) -> str:
    return f"claims: {claim.claim_id}"


def _text(printed: object) -> str:
    """Say what is printed as text: numbers as they are written in the ledger."""
    if isinstance(printed, Mapping):
        return "; ".join(f"{index}: {value}" for index, value in printed.items())
    if isinstance(printed, list):
        return f"[{', '.join(map(str, printed))}]"
    return "" if printed is None else str(printed)
