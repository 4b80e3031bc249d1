"""Metrics and checks by name: what a run is measured by, and what is computed. No torch.

Comes in: a name that a module logs, or a registered function of outputs and targets. Goes out: a
``Metric`` with its direction and kind, from which intervals, tests, verdicts and tables follow. A
check is a function that computes deterministic numbers, in the order of a reference value; it never
looks at what is printed: the reference values hold that, and the report compares.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from lightning_modules.registry import Registry

# Outputs of shape (N, …) and targets of shape (N, …) of a data set; one number.
MetricFunction = Callable[[Any, Any], float]
# Of nothing, or of the name of a data set and the data folder.
Check = Callable[..., Iterable[float]]


class Direction(StrEnum):
    """Which way a metric is better."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"


class MetricKind(StrEnum):
    """What a metric's numbers are.

    A share lies in [0, 1] and is printed in percent; a loss has no upper bound; a count is a whole
    number; a plain number is anything else.
    """

    SHARE = "share"
    LOSS = "loss"
    COUNT = "count"
    PLAIN = "plain"


class Metric(BaseModel):
    """A named value of a run. ``format`` and ``label`` say how tables print it.

    ``format`` is a format of Python (``.3f``), "" the lab's own: as many digits as the interval
    supports. ``label`` "" is the name with blanks for underscores.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="The name under which runs log it.")
    direction: Direction = Field(description="Which way is better.")
    kind: MetricKind = Field(default=MetricKind.PLAIN, description="What its numbers are.")
    format: str = Field(
        default="", description="A format of Python; the lab's own where nothing is said."
    )
    label: str = Field(
        default="", description="What tables call it; its name where nothing is said."
    )

    @property
    def is_share(self) -> bool:
        """Whether it is a share in [0, 1], so that percent and a chance level have a meaning."""
        return self.kind is MetricKind.SHARE

    @property
    def is_success(self) -> bool:
        """Whether a run has it or not (0 or 1), so that a cell has a share of successes."""
        return self.name == SUCCESS

    @property
    def higher_is_better(self) -> bool:
        """Whether more is better."""
        return self.direction is Direction.MAXIMIZE

    @property
    def worst(self) -> float:
        """What a run counts as whose value is no number."""
        if self.is_share:
            return 0.0 if self.higher_is_better else 1.0
        return -math.inf if self.higher_is_better else math.inf

    @property
    def words(self) -> str:
        """The name as tables print it."""
        return self.label or self.name.replace("_", " ")


@dataclass(frozen=True)
class Registered:
    """A metric, and the function that computes it; None where the lab or a module logs it."""

    metric: Metric
    function: MetricFunction | None = None


SUCCESS = "success"
# Those of which guessing among the classes gives a value.
ACCURACIES = (SUCCESS, "test_accuracy", "train_accuracy", "val_accuracy")
METRICS: Registry[Registered] = Registry("metric", words=("metric", "metrics"))
CHECKS: Registry[Check] = Registry("check", words=("check",))


def metric(
    name: str,
    *,
    direction: str,
    kind: str = "plain",
    format: str = "",  # noqa: A002 (the field's own word, as in YAML)
    label: str = "",
) -> Callable[[MetricFunction], MetricFunction]:
    """Register a function (outputs, targets) -> float as a metric, and give it back.

    It is computed on the test set as ``name``::

        @metric("f1", direction="maximize", kind="share", format=".3f")
        def f1(outputs, targets): ...

    Errors: ValueError for a direction or kind that does not exist, or a name that is taken.
    """
    described = Metric(
        name=name,
        direction=Direction(direction),
        kind=MetricKind(kind),
        format=format,
        label=label,
    )
    keep = METRICS.register(name, above=1)

    def registered(function: MetricFunction) -> MetricFunction:
        keep(Registered(described, function))
        return function

    return registered


def _built_in(name: str, direction: Direction, kind: MetricKind) -> None:
    METRICS.register(name)(Registered(Metric(name=name, direction=direction, kind=kind)))


_built_in(SUCCESS, Direction.MAXIMIZE, MetricKind.SHARE)
_built_in("test_accuracy", Direction.MAXIMIZE, MetricKind.SHARE)
_built_in("train_accuracy", Direction.MAXIMIZE, MetricKind.SHARE)
_built_in("train_loss", Direction.MINIMIZE, MetricKind.LOSS)
_built_in("test_loss", Direction.MINIMIZE, MetricKind.LOSS)
_built_in("test_distance", Direction.MINIMIZE, MetricKind.LOSS)
_built_in("first_exact_step", Direction.MINIMIZE, MetricKind.COUNT)
# The first number that a check computed: nobody ranks it.
_built_in("value_0", Direction.MINIMIZE, MetricKind.PLAIN)


def compute(config: Mapping[str, Any], root: Path | None) -> tuple[float, ...]:
    """Return the numbers of the check that a run's configuration names.

    A check over data is handed the name of the data set and the data folder.
    Errors: UnknownName; ValueError for a check that gives nothing, or NaN.
    """
    name = config["check"]["name"]
    check = CHECKS.get(name)
    given = check(config["data"]["name"], root) if "data" in config else check()
    values = tuple(float(value) for value in given)
    if not values or any(math.isnan(value) for value in values):
        raise ValueError(f"check {name!r}: expected numbers, found {values}")
    return values
