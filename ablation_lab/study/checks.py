"""Checks: functions that compute deterministic numbers, in the order of a reference value.

Comes in: the name of a check and, for facts about data, a data folder. Goes out: numbers. A check
never looks at what is printed: the reference values hold that, and the report compares.
"""

from collections.abc import Callable, Iterable, Mapping
from math import isnan
from pathlib import Path
from typing import Any

from lightning_modules.registry import Registry

Check = Callable[..., Iterable[float]]

CHECKS: Registry[Check] = Registry("check", words=("check",))


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
