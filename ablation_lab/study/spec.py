"""What a study says: the declaration in ``conf/study/<name>.yaml``, read strictly.

Comes in: the mapping that Hydra composed. Goes out: a ``Study``, or a ``ConfigurationError`` of
one line that names the file, the key, what was found and what was expected. Pure: no torch, no
MLflow, no files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.study.metric import METRICS, Direction, Metric, MetricKind
from ablation_lab.study.section import Section
from ablation_lab.study.study import (
    FIRST_TUNING_REPLICATE,
    Adjustment,
    Budget,
    Design,
    Exclusion,
    Factor,
    FactorRole,
    Level,
    SelectionRule,
    Study,
    Tuning,
    Where,
)


def parse_study(name: str, value: object) -> Study:
    """Read the declaration of the study ``name``."""
    top = Section(value, f"study/{name}.yaml: {name}")
    declared = _factors(top.section("factors"))
    factors = tuple(f for f in declared if f.role is not FactorRole.NUISANCE)
    metrics = _metrics(top)
    study = Study(
        name=name,
        title=top.take("title", str),
        question=top.take("question", str),
        source=top.take("source", str),
        setup=top.take("setup", str, ""),
        metric=metrics[0],
        selection=top.choice("selection", SelectionRule, SelectionRule.LAST_EPOCH),
        seed=top.take("seed", int, 0),
        baseline=_labels(top.section("baseline", required=False)),
        layout=_layout(top.section("layout", required=False), factors),
        run=top.take("run", dict),
        factors=factors,
        exclusions=_exclusions(top.take("exclude", list, []), top.place, factors),
        budgets=_budgets(top.section("profiles"), factors),
        design=top.choice("design", Design, Design.FACTORIAL),
        equivalence=top.take("equivalence", float, None),
        nuisances=tuple(f for f in declared if f.role is FactorRole.NUISANCE),
        further=metrics[1:],
    )
    top.close()
    check_where(_as_where(study.baseline), factors, f"{top.place}.baseline")
    _check_design(study, top.place)
    _check_tuning(study, top.place)
    return study


def _metrics(top: Section) -> tuple[Metric, ...]:
    """Read ``metric``, the one that cells are compared by, and ``metrics``, those beside it."""
    listed = top.take("metrics", list, [])
    own = top.take("metric", object, None) if listed else top.take("metric", object)
    entries = [*([] if own is None else [own]), *listed]
    metrics = [_metric(entry, f"{top.place}.metric") for entry in entries]
    names = [metric.name for metric in metrics]
    if len(set(names)) != len(names):
        raise ConfigurationError(f"{top.place}.metrics: expected distinct metrics, found {names}")
    return tuple(metrics)


def _metric(value: object, place: str) -> Metric:
    """Read the name of a registered metric, or the description of any."""
    if isinstance(value, str):
        if value not in METRICS.names():
            raise ConfigurationError(
                f"{place}: unknown value {value!r}; {nearest(value, METRICS.names())}; another "
                f"one is described: {{name: {value}, direction: maximize, kind: plain}}"
            )
        return METRICS.get(value).metric
    section = Section(value, place)
    metric = Metric(
        name=section.take("name", str),
        direction=section.choice("direction", Direction),
        kind=section.choice("kind", MetricKind, MetricKind.PLAIN),
        format=section.take("format", str, ""),
        label=section.take("label", str, ""),
    )
    section.close()
    return metric


def _check_design(study: Study, place: str) -> None:
    """Refuse what the declared design cannot mean."""
    band = study.equivalence
    if band is not None and not 0 < band < (1 if study.metric.is_share else math.inf):
        unit = "a share below 1, so that 0.005 is half a point" if study.metric.is_share else "> 0"
        raise ConfigurationError(
            f"{place}.equivalence: expected a band in the metric's unit ({unit}), found {band!r}"
        )
    varied = [factor.name for factor in study.factors if len(factor.levels) > 1]
    if study.design is Design.LADDER and len(varied) != 1:
        raise ConfigurationError(
            f"{place}.design: a ladder has one factor, whose levels are its steps in order; "
            f"found {', '.join(varied)}"
        )
    if study.design is Design.ONE_AT_A_TIME and not set(varied) <= set(study.baseline):
        raise ConfigurationError(
            f"{place}.design: one_at_a_time changes one factor of the full model at a time; "
            f"expected 'baseline' to give a level of every factor that varies "
            f"({', '.join(varied)}), found {', '.join(study.baseline) or 'none'}"
        )


def _check_tuning(study: Study, place: str) -> None:
    """Refuse nuisance factors without a budget in every profile, and budgets for none."""
    for factor in study.nuisances:
        if factor.when or len(factor.levels) < 2:
            found = "a when" if factor.when else f"levels {[v.label for v in factor.levels]}"
            raise ConfigurationError(
                f"{place}.factors.{factor.name}: a nuisance factor is tuned in every cell, over at "
                f"least two levels; found {found}"
            )
    for name, budget in study.budgets.items():
        if bool(study.nuisances) != (budget.tuning is not None):
            names = ", ".join(factor.name for factor in study.nuisances) or "none"
            raise ConfigurationError(
                f"{place}.profiles.{name}: 'tuning' (trials, replicates) belongs to nuisance "
                f"factors; found {'tuning' if budget.tuning else 'no tuning'} and factors {names}"
            )


def label_of(value: object) -> str:
    """Return the label of a level: its YAML value as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _factors(section: Section) -> tuple[Factor, ...]:
    factors: list[Factor] = []
    for name, value in section.items():
        factor = _factor(name, Section(value, f"{section.place}.{name}"))
        check_where(factor.when, tuple(factors), f"{section.place}.{name}.when")
        factors.append(factor)
    if not factors:
        raise ConfigurationError(f"{section.place}: expected at least one factor, found none")
    return tuple(factors)


def _factor(name: str, section: Section) -> Factor:
    key = section.take("key", str, None)
    levels = section.take("levels", object)
    factor = Factor(
        name=name,
        label=section.take("label", str, name),
        role=section.choice("role", FactorRole, FactorRole.SCIENTIFIC),
        levels=_levels(levels, key, section.place),
        when=read_where(section.section("when", required=False)),
    )
    section.close()
    if factor.role is FactorRole.FIXED and len(factor.levels) != 1:
        raise ConfigurationError(
            f"{section.place}: a fixed factor has one level, found {len(factor.levels)}"
        )
    return factor


def _levels(value: object, key: str | None, place: str) -> tuple[Level, ...]:
    if isinstance(value, Mapping) and key is None:
        levels = [
            Level(label_of(label), dict(Section(keys, f"{place}.levels.{label}").items()))
            for label, keys in value.items()
        ]
    elif isinstance(value, list) and key is not None:
        levels = [Level(label_of(entry), {key: entry}) for entry in value]
    else:
        raise ConfigurationError(
            f"{place}: expected 'levels' as a list together with 'key', or as a mapping from "
            f"label to settings without 'key'; found levels {value!r} and key {key!r}"
        )
    labels = [level.label for level in levels]
    if not labels or len(set(labels)) != len(labels):
        raise ConfigurationError(f"{place}.levels: expected distinct levels, found {labels}")
    return tuple(levels)


def _labels(section: Section) -> dict[str, str]:
    return {name: label_of(value) for name, value in section.items()}


def read_where(section: Section) -> dict[str, tuple[str, ...]]:
    """Read factor → level or list of levels, as labels."""
    where = {}
    for name, value in section.items():
        if value == []:
            raise ConfigurationError(f"{section.place}.{name}: expected at least one level")
        entries = value if isinstance(value, list) else [value]
        where[name] = tuple(label_of(entry) for entry in entries)
    return where


def _as_where(labels: Mapping[str, str]) -> Where:
    return {name: (label,) for name, label in labels.items()}


def check_where(where: Where, factors: tuple[Factor, ...], place: str) -> None:
    """Refuse factors and levels that are not declared, naming the nearest.

    Errors: ``ConfigurationError``.
    """
    known = {factor.name: [level.label for level in factor.levels] for factor in factors}
    for name, labels in where.items():
        if name not in known:
            raise ConfigurationError(f"{place}: unknown factor {name!r}; {nearest(name, known)}")
        for label in labels:
            if label not in known[name]:
                raise ConfigurationError(
                    f"{place}.{name}: unknown level {label!r}; {nearest(label, known[name])}"
                )


def _layout(section: Section, factors: tuple[Factor, ...]) -> dict[str, Any]:
    rows = section.take("rows", str, "")
    columns = section.take("columns", list, [])
    section.close()
    if columns and not rows:
        raise ConfigurationError(f"{section.place}: expected 'rows' beside 'columns', found none")
    names = [factor.name for factor in factors]
    for name in [rows, *columns] if rows else []:
        if name not in names:
            raise ConfigurationError(
                f"{section.place}: unknown factor {name!r}; {nearest(name, names)}"
            )
    return {"rows": rows, "columns": list(columns)} if rows else {}


def _exclusions(
    entries: list[Any], place: str, factors: tuple[Factor, ...]
) -> tuple[Exclusion, ...]:
    exclusions = []
    for index, entry in enumerate(entries):
        section = Section(entry, f"{place}.exclude[{index}]")
        where = read_where(section.section("where"))
        check_where(where, factors, f"{section.place}.where")
        exclusions.append(Exclusion(where=where, reason=section.take("reason", str)))
        section.close()
    return tuple(exclusions)


def _budgets(section: Section, factors: tuple[Factor, ...]) -> dict[str, Budget]:
    budgets = {}
    for name, value in section.items():
        entry = Section(value, f"{section.place}.{name}")
        replicates = entry.take("replicates", int)
        if not 1 <= replicates <= FIRST_TUNING_REPLICATE:
            expected = "at least 1" if replicates < 1 else f"at most {FIRST_TUNING_REPLICATE}"
            raise ConfigurationError(
                f"{entry.place}.replicates: expected {expected}, found {replicates}"
            )
        levels = read_where(entry.section("levels", required=False))
        check_where(levels, factors, f"{entry.place}.levels")
        overrides = dict(entry.section("set", required=False).items())
        adjustments = _adjustments(entry.take("adjust", list, []), entry.place, factors)
        tuning = _tuning(entry.take("tuning", dict, None), f"{entry.place}.tuning")
        needs = entry.take("needs", str, "")
        entry.close()
        budgets[name] = Budget(replicates, overrides, levels, adjustments, tuning, needs)
    return budgets


def _tuning(value: dict[str, Any] | None, place: str) -> Tuning | None:
    if value is None:
        return None
    section = Section(value, place)
    tuning = Tuning(section.take("trials", int), section.take("replicates", int))
    section.close()
    if min(tuning.trials, tuning.replicates) < 1:
        raise ConfigurationError(f"{place}: expected at least 1 trial and replicate, found {value}")
    return tuning


def _adjustments(
    entries: list[Any], place: str, factors: tuple[Factor, ...]
) -> tuple[Adjustment, ...]:
    adjustments = []
    for index, entry in enumerate(entries):
        section = Section(entry, f"{place}.adjust[{index}]")
        where = read_where(section.section("where"))
        check_where(where, factors, f"{section.place}.where")
        adjustments.append(Adjustment(where, dict(section.section("set").items())))
        section.close()
    return tuple(adjustments)
