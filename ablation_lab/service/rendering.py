"""From what is known to the fragments of pages, by Jinja's templates.

Comes in: the name of a template, and what it shows. Goes out: HTML, in which every text is text.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader

if TYPE_CHECKING:
    from ablation_lab.statistics.intervals import Interval


def rendered(name: str, **shown: Any) -> str:
    """Return a template with what it shows."""
    return str(_environment().get_template(name).render(shown))


def duration(seconds: float | None) -> str:
    """Return seconds as a person reads them."""
    if seconds is None:
        return "–"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def number(value: float | None) -> str:
    """Return a number as a table has it, – for none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.4g}"


def interval(found: Interval) -> str:
    """Return the ends of an interval, – where it has none."""
    both = math.isfinite(found.low) and math.isfinite(found.high)
    return f"{number(found.low)} to {number(found.high)}" if both else "–"


@cache
def _environment() -> Environment:
    made = Environment(loader=PackageLoader("ablation_lab.service"), autoescape=True)
    made.filters |= {"duration": duration, "number": number, "interval": interval}
    return made
