"""Named values that a process leaves: files of its own, and lines of its output.

Comes in: the folder that it was given, and what it printed. Goes out: its metrics and curves. What
several places say counts as the first of them says it; what one place says twice is refused.
"""

from __future__ import annotations

import csv
import json
import math
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ablation_lab.errors import nearest
from ablation_lab.study.names import KEY, NO_METRICS
from ablation_lab.study.record import Curve

POINTS = 200  # of a curve that are kept
LARGEST = 256 << 20  # bytes of a file of values
# Columns and fields that count the others.
STEPS = ("step", "epoch")
# What every record says itself.
OWN = frozenset((*NO_METRICS, *STEPS, "steps", "seconds", "not_converged"))


@dataclass(frozen=True)
class Computed:
    """What a run gave; ``why`` says what went wrong, if anything did.

    ``output`` are the last lines that it printed, ``files`` the folder of what else it left.
    """

    metrics: Mapping[str, float]
    curves: Mapping[str, Curve] = field(default_factory=dict)
    why: str = ""
    output: str = ""
    files: str = ""


class Series:
    """Values of one place, each of a name and a step; None is the one that has no step."""

    def __init__(self, *, wanted: Iterable[str] = (), strict: bool = True) -> None:
        self.points: dict[str, dict[int | None, float]] = {}
        self._wanted = frozenset(wanted)
        self._strict = strict

    def add(self, name: object, value: object, step: object, place: str) -> None:
        """Take a value.

        Errors: ValueError for one that comes twice, and for one that counts and is no number.
        """
        key = name if isinstance(name, str) else str(name)
        number, at = _number(value), None if step in (None, "") else _step(step)
        if number is None or (at is not None and not math.isfinite(at)):
            if key in self._wanted and self._strict:
                what, found = ("a number", value) if number is None else ("a step", step)
                raise ValueError(f"{place}: {key!r}: expected {what}, found {found!r:.80}")
            return
        points = self.points.setdefault(_named(key), {})
        count = None if at is None else int(at)
        if count in points and self._strict:
            where = "" if count is None else f" at step {count}"
            raise ValueError(f"{place}: {key!r} has a second value{where}; expected one")
        points[count] = number

    def next(self, name: str, value: object) -> None:
        """Take the next value of a name, whose step is its place in the order."""
        points = self.points.setdefault(_named(name), {})
        number = _number(value)
        if number is not None:
            points[max((each for each in points if each is not None), default=0) + 1] = number
        if len(points) > 100 * POINTS:
            self.points[_named(name)] = dict(thinned(tuple(_steps(points))))


def gathered(places: Iterable[Series], *, without: Iterable[str]) -> Computed:
    """Return what the first place that has a name says of it; ``without`` are names of factors."""
    left_out = OWN | frozenset(without)
    metrics: dict[str, float] = {}
    curves: dict[str, Curve] = {}
    for place in places:
        for name, points in place.points.items():
            if name in left_out or name in metrics or name in curves or not points:
                continue
            steps = tuple(_steps(points))
            if len(steps) > 1 or None not in points:
                curves[name] = thinned(steps)
            else:
                metrics[name] = points[None]
    return Computed(metrics, curves)


def missing(found: Computed, wanted: Iterable[str]) -> str:
    """Say what a study measures and a process did not leave, or ''."""
    known = (*found.metrics, *found.curves)
    for name in wanted:
        if name not in known:
            left = f"; {nearest(name, known)}" if known else ", and no other value"
            return (
                f"it left no {name!r}{left}; write it to ${{out}}/metrics.json, or say a pattern "
                "for its output"
            )
    return ""


def thinned(points: Curve) -> Curve:
    """Return a curve with at most ``POINTS`` points, evenly chosen, the last among them."""
    if len(points) <= POINTS:
        return points
    last = len(points) - 1
    return tuple(points[round(n * last / (POINTS - 1))] for n in range(POINTS))


def written(out: Path, wanted: Iterable[str]) -> Iterator[Series]:
    """Yield the values of each file that a process wrote for the lab.

    Errors: ValueError for one that cannot be read.
    """
    for name, read in FILES.items():
        path = out / name
        if path.is_file():
            if path.stat().st_size > LARGEST:
                raise ValueError(f"{name}: expected at most {LARGEST >> 20} MB")
            series = Series(wanted=wanted)
            read(path, series)
            yield series


def printed(patterns: Iterable[str]) -> tuple[Series, Callable[[str], None]]:
    """Return the values of an output, and what reads them from its lines."""
    series, compiled = Series(), [re.compile(each) for each in patterns]

    def heed(line: str) -> None:
        for pattern in compiled:
            for found in pattern.finditer(line):
                _heed(found.groupdict(), series)

    return series, heed


def _heed(groups: dict[str, str | None], series: Series) -> None:
    step = groups.pop("step", None)
    if "name" in groups:
        groups = {str(groups["name"]): groups["value"]}
    for name, value in groups.items():
        if value is None:
            continue
        if step is None:
            series.next(name, value)
        elif (number := _number(value)) is not None and math.isfinite(at := _step(step)):
            series.points.setdefault(_named(name), {})[int(at)] = number


def _lines(path: Path, series: Series) -> None:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                place = f"{path.name}, line {number}"
                _take(_json(line, place), series, place)


def _whole(path: Path, series: Series) -> None:
    content = _json(path.read_text(encoding="utf-8", errors="replace"), path.name)
    for entry in content if isinstance(content, list) else [content]:
        _take(entry, series, path.name)


def _json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place}: expected JSON: {error}") from None


def read_table(path: Path, series: Series) -> None:
    """Take the values of a CSV: columns name, value and step, or one for each name."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        rows = csv.DictReader(lines)
        for row in _readable(rows, path.name):
            place = f"{path.name}, line {rows.line_num}"
            given = {key: value for key, value in row.items() if key and value not in (None, "")}
            _take(given, series, place)


def _readable(rows: csv.DictReader[str], name: str) -> Iterator[dict[str, str]]:
    try:
        yield from rows
    except csv.Error as error:
        raise ValueError(f"{name}, line {rows.line_num + 1}: {error}") from None


def _take(entry: object, series: Series, place: str) -> None:
    """Take one entry: a name and its value, or several by their names; a list is a curve."""
    if not isinstance(entry, Mapping):
        raise ValueError(f"{place}: expected a mapping of names to values, found {entry!r:.80}")
    step = next((entry[key] for key in STEPS if entry.get(key) is not None), None)
    if "name" in entry and "value" in entry:
        series.add(entry["name"], entry["value"], step, place)
        return
    for name, value in entry.items():
        if isinstance(value, list):
            for number, each in enumerate(value, start=1):
                series.add(name, each, number, place)
        elif name not in STEPS:
            series.add(name, value, step, place)


FILES = {"metrics.jsonl": _lines, "metrics.json": _whole, "metrics.csv": read_table}


def _steps(points: Mapping[int | None, float]) -> Iterator[tuple[int, float]]:
    """Yield the points in order, the one without a step after the others."""
    counted = sorted((step, value) for step, value in points.items() if step is not None)
    yield from counted
    if None in points:
        yield (counted[-1][0] + 1 if counted else 0), points[None]


def _number(value: object) -> float | None:
    if not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _step(value: object) -> float:
    """Return a step, NaN for what is none."""
    number = _number(value)
    return math.nan if number is None else number


def _named(name: str) -> str:
    """Return a name as MLflow takes it."""
    if KEY.fullmatch(name) and posixpath.normpath(name) == name and name[0] not in "/.":
        return name
    return re.sub(r"[^\w\- ]", "_", name)[:200] or "_"
