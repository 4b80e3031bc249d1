"""Computed checks: the decks' deterministic numbers, each computed by a small function.

Comes in: the name of a check and, for facts about data, a data folder. Goes out: numbers. A check
never looks at what is printed: the ledger holds that, and the analysis compares. A check of one's
own: a function in one's own package, decorated with ``@CHECKS.register("my_check")``.
"""

from collections.abc import Mapping
from math import isnan
from pathlib import Path
from typing import Any

from experiments.checks import (
    architectures,
    classical,
    convolution,
    counts,
    cross_entropy,
    data_facts,
    detection,
    gates,
    gradients,
    recipes,
    sequences,
    statements,
    tensors,
)
from experiments.checks.registry import CHECKS

__all__ = [
    "CHECKS",
    "architectures",
    "classical",
    "compute",
    "convolution",
    "counts",
    "cross_entropy",
    "data_facts",
    "detection",
    "gates",
    "gradients",
    "recipes",
    "sequences",
    "statements",
    "tensors",
]


def compute(config: Mapping[str, Any], root: Path | None) -> tuple[float, ...]:
    """Return the numbers of the check that a run's configuration names.

    A check over data is handed the name of the data set and the data folder.
    Errors: UnknownName; ValueError for a check that gives nothing, or NaN.
    """
    name = config["check"]["name"]
    check = CHECKS.get(name)
    given = check(config["data"]["name"], root) if "data" in config else check()
    values = tuple(float(value) for value in given)
    if not values or any(isnan(value) for value in values):
        raise ValueError(f"check {name!r}: expected numbers, found {values}")
    return values
