"""What a study is: a question, factors, budgets, as its file says it, read strictly. Pure.

Comes in: the content of ``conf/study/<name>.yaml``. Goes out: a ``Study``. These models are the
schema: what YAML is read into, what the store keeps a part of, what the report reads.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.study.asks import Ask, unknown_in
from ablation_lab.study.budget import Budget, evened
from ablation_lab.study.factor import (
    Exclusion,
    Factor,
    FactorRole,
    Label,
    Names,
    Settings,
    Varied,
    misused_tasks,
    undone,
    unknown_levels,
    with_homes,
)
from ablation_lab.study.metric import METRICS, Metric
from ablation_lab.study.names import wrong_names
from ablation_lab.study.reading import Number, Problem, Whole, Written, read_model, refuse
from ablation_lab.study.references import ReferenceValue


class SelectionRule(StrEnum):
    """Which state of a run is reported."""

    LAST_EPOCH = "last_epoch"
    BEST_ON_VALIDATION = "best_on_validation"
    EARLY_STOPPED = "early_stopped"


class Design(StrEnum):
    """How the cells hang together: all combinations, ordered steps, or one change at a time."""

    FACTORIAL = "factorial"
    LADDER = "ladder"
    ONE_AT_A_TIME = "one_at_a_time"


def _metric_of(value: object) -> object:
    """Return the registered metric of a name; another one is described by a mapping."""
    if not isinstance(value, str):
        return value
    if value not in METRICS.names():
        raise ValueError(
            f"unknown value {value!r}; {nearest(value, METRICS.names())}; another one is "
            f"described: {{name: {value}, direction: maximize, kind: plain}}"
        )
    return METRICS.get(value).metric


ListedMetric = Annotated[Metric, BeforeValidator(_metric_of)]


class Layout(Written):
    """Factors for the rows and the columns of the pivot table."""

    rows: Names = Field(description="Factors whose levels are rows.")
    columns: Names = Field((), description="Factors whose levels are columns.")


class Study(Written):
    """One ablation: a question, factors, a budget for each profile.

    ``equivalence`` is the margin within which cells count as equivalent, in the metric's own unit
    (0.005 is half a point). ``factors`` make the cells; ``nuisances`` are tuned in each.
    ``metric`` is what cells are compared by, ``further`` ones are reported beside it.
    """

    derived: ClassVar[tuple[str, ...]] = ("name", "references", "path", "of_call")

    name: SkipJsonSchema[str] = ""
    title: str = Field(description="A heading.")
    question: str = Field(description="What the study asks.")
    source: str = Field(description="Where the question comes from.")
    setup: str = Field("", description="What all cells share, in words.")
    metric: ListedMetric = Field(
        description="What cells are compared by: a registered name, or a description."
    )
    further: tuple[ListedMetric, ...] = Field(
        (), alias="metrics", description="Metrics that are reported beside it."
    )
    selection: SelectionRule = Field(
        SelectionRule.LAST_EPOCH,
        description="Which state counts: the last one, or the best on validation.",
    )
    seed: Whole = Field(0, description="The number from which all random streams come.")
    baseline: dict[str, Label] = Field(
        {}, description="The level of each factor with which cells are compared."
    )
    asks: tuple[Ask, ...] = Field(
        (), description="Questions about levels, of which the finding is the answer."
    )
    layout: Layout | None = Field(None, description="How the main table is laid out.")
    run: Settings = Field(
        description="What all cells have: a model and how it trains, or a command, or a check."
    )
    declared: dict[Label, Varied] = Field(alias="factors", description="What varies, by name.")
    exclusions: tuple[Exclusion, ...] = Field(
        (), alias="exclude", description="Combinations that do not run."
    )
    budgets: dict[Label, Budget] = Field(
        alias="profiles", description="What each profile spends, by name."
    )
    design: Design = Field(Design.FACTORIAL, description="How the cells hang together.")
    equivalence: Number | None = Field(
        None, description="The margin of equivalence: a difference below it does not matter."
    )
    references: SkipJsonSchema[tuple[ReferenceValue, ...]] = ()
    # The file, and the settings that a call gives every run.
    path: SkipJsonSchema[Path | None] = None
    of_call: SkipJsonSchema[Settings] = Field({})

    @property
    def place(self) -> str:
        """Where the declaration lies, for error messages."""
        return f"study/{self.name}.yaml"

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """The factors that make the cells."""
        return tuple(f for f in self.declared.values() if f.role is not FactorRole.NUISANCE)

    @cached_property
    def nuisances(self) -> tuple[Factor, ...]:
        """The factors that are tuned in every cell."""
        return tuple(f for f in self.declared.values() if f.role is FactorRole.NUISANCE)

    def budget(self, profile: str) -> Budget:
        """Return the budget of ``profile``."""
        if profile not in self.budgets:
            raise ConfigurationError(
                f"{self.place}: no profile {profile!r}; {nearest(profile, self.budgets)}"
            )
        return self.budgets[profile]

    @classmethod
    def normal(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Return the first of ``metrics`` as the metric, where no other one is."""
        value = with_homes(value)
        listed = value.get("metrics")
        if "metric" in value or not isinstance(listed, list) or not listed:
            return value
        return {**value, "metric": listed[0], "metrics": listed[1:]}

    @field_validator("declared")
    @classmethod
    def _named(cls, factors: dict[str, Factor]) -> dict[str, Factor]:
        if not factors:
            raise ValueError("expected at least one factor, found none")
        return {
            name: factor.model_copy(update={"name": name, "label": factor.label or name})
            for name, factor in factors.items()
        }

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        every = tuple(self.declared.values())
        measured = [metric.name for metric in (self.metric, *self.further)]
        named = wrong_names({f.name: f.levels for f in every}, tuple(self.budgets), measured)
        refuse((*named, *undone(every), *misused_tasks(every, self.baseline)))
        refuse((*self._unknown(), *self._undesigned(), *self._untuned()))
        return self

    def _unknown(self) -> Iterator[Problem]:
        """Yield the factors and levels that are named somewhere and declared nowhere."""
        made = self.factors
        for index, factor in enumerate(every := tuple(self.declared.values())):
            yield from unknown_levels(factor.when, every[:index], ("factors", factor.name, "when"))
            named = {factor.name: tuple(factor.words)}
            yield from unknown_levels(named, every, ("factors", factor.name, "words"))
        baseline = {name: (label,) for name, label in self.baseline.items()}
        yield from unknown_levels(baseline, made, ("baseline",))
        yield from unknown_in(self.asks, made)
        for index, exclusion in enumerate(self.exclusions):
            yield from unknown_levels(exclusion.where, made, ("exclude", index, "where"))
        for name, budget in self.budgets.items():
            at = ("profiles", name)
            yield from unknown_levels(budget.levels, made, (*at, "levels"))
            for key, where, _ in budget.layers(at):
                yield from unknown_levels(where, made, (*key[:-1], "where"))
            yield from evened(made, budget, at)
        names = [factor.name for factor in made]
        for name in (*self.layout.rows, *self.layout.columns) if self.layout else ():
            if name not in names:
                yield ("layout",), f"unknown factor {name!r}; {nearest(name, names)}"

    def _undesigned(self) -> Iterator[Problem]:
        """Yield what the declared design, and the metric's unit, cannot mean."""
        band, share = self.equivalence, self.metric.is_share
        if band is not None and not 0 < band < (1 if share else math.inf):
            unit = "a share below 1, so that 0.005 is half a point" if share else "> 0"
            yield (
                ("equivalence",),
                f"expected a margin in the metric's unit ({unit}), found {band!r}",
            )
        varied = [factor.name for factor in self.factors if len(factor.levels) > 1]
        if self.design is Design.LADDER and len(varied) != 1:
            yield (
                ("design",),
                "a ladder has one factor, whose levels are its steps in order; "
                f"found {', '.join(varied)}",
            )
        if self.design is Design.ONE_AT_A_TIME and not set(varied) <= set(self.baseline):
            yield (
                ("design",),
                "one_at_a_time changes one factor of the full model at a time; expected "
                "'baseline' to give a level of every factor that varies "
                f"({', '.join(varied)}), found {', '.join(self.baseline) or 'none'}",
            )
        for name, budget in self.budgets.items():
            if budget.replicates.looks and not (self.baseline or self.design is Design.LADDER):
                yield (
                    ("profiles", name, "replicates"),
                    "'until: decided' needs comparisons, so a baseline or the steps of a ladder",
                )
        names = [metric.name for metric in (self.metric, *self.further)]
        if len(set(names)) != len(names):
            yield ("metrics",), f"expected distinct metrics, found {names}"

    def _untuned(self) -> Iterator[Problem]:
        """Yield what cannot be tuned, and profiles that tune nothing, or what is not declared."""
        for factor in self.nuisances:
            if factor.when or len(factor.levels) < 2:
                found = "a when" if factor.when else f"levels {list(factor.levels)}"
                yield (
                    ("factors", factor.name),
                    "a nuisance factor is tuned in every cell, over at least two levels; "
                    f"found {found}",
                )
        names = ", ".join(factor.name for factor in self.nuisances) or "none"
        for name, budget in self.budgets.items():
            if bool(self.nuisances) != (budget.tuning is not None):
                found = "tuning" if budget.tuning else "no tuning"
                yield (
                    ("profiles", name),
                    "'tuning' (trials, replicates) belongs to nuisance factors; "
                    f"found {found} and factors {names}",
                )


def parse_study(name: str, value: object, source: Path | None = None) -> Study:
    """Read the declaration of the study ``name``, which lies in the file ``source``.

    Errors: ``ConfigurationError`` with one line for each thing that is wrong.
    """
    study = read_model(Study, value, f"study/{name}.yaml", at=(name,), source=source)
    return study.model_copy(update={"name": name, "path": source})
