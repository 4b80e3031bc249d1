"""A metric is open: built in, registered by a plug-in, or described in the study's file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ablation_lab import metric
from ablation_lab.errors import ConfigurationError
from ablation_lab.study.metric import METRICS, Direction, Metric, MetricKind
from ablation_lab.study.schema import parse_study


@pytest.fixture
def f1() -> Iterator[str]:
    name = "f1_of_a_test"

    @metric(name, direction="maximize", kind="share", format=".3f")
    def _f1(outputs: Any, targets: Any) -> float:
        return float(outputs == targets)

    yield name
    METRICS._things.pop(name)


def test_a_registered_function_is_a_metric(f1: str, declaration: dict[str, Any]) -> None:
    registered = METRICS.get(f1)
    assert registered.function is not None
    assert registered.function(1, 1) == 1.0
    assert {place.path for place in METRICS.places(f1)} == {Path(__file__).resolve()}
    study = parse_study("small", declaration | {"metric": f1})
    assert study.metric == registered.metric
    assert (study.metric.is_share, study.metric.higher_is_better) == (True, True)


def test_what_nobody_registered_is_described(declaration: dict[str, Any]) -> None:
    described = {"name": "perplexity", "direction": "minimize", "kind": "plain", "format": ".2f"}
    study = parse_study("small", declaration | {"metric": described})
    assert study.metric == Metric(
        name="perplexity", direction=Direction.MINIMIZE, kind=MetricKind.PLAIN, format=".2f"
    )
    with pytest.raises(ConfigurationError, match=r"unknown value 'perplexity'.*direction:"):
        parse_study("small", declaration | {"metric": "perplexity"})


def test_the_first_metric_is_the_one_that_is_compared(declaration: dict[str, Any]) -> None:
    del declaration["metric"]
    study = parse_study("small", declaration | {"metrics": ["test_loss", "test_accuracy"]})
    assert study.metric.name == "test_loss"
    assert [each.name for each in study.further] == ["test_accuracy"]
    with pytest.raises(ConfigurationError, match="expected distinct metrics"):
        parse_study("small", declaration | {"metric": "success", "metrics": ["success"]})


def test_a_direction_or_kind_that_does_not_exist_is_refused(declaration: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="direction: unknown value 'up'"):
        parse_study("small", declaration | {"metric": {"name": "x", "direction": "up"}})
    with pytest.raises(ValueError, match="up"):
        metric("x", direction="up")


@pytest.mark.parametrize(
    ("kind", "direction", "worst"),
    [("share", "maximize", 0), ("share", "minimize", 1), ("plain", "maximize", -math.inf),
     ("loss", "minimize", math.inf)],
)  # fmt: skip
def test_what_is_no_number_counts_as_the_worst(kind: str, direction: str, worst: float) -> None:
    made = Metric(name="x", direction=Direction(direction), kind=MetricKind(kind))
    assert made.worst == worst
