"""What the page says of one measured thing: its figures, its ratios, and what was wanted of it.

Comes in: seconds, round by round, and those of its rivals for the same work. Goes out: cells of a
table, by heading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

PLAIN = "× plain loop"
LIGHTNING = "× Lightning fit"
CEILING = "of the ceiling"
ALONE = "× one after the other"
# The headings of ratios, in the order of the columns.
RATIOS = (PLAIN, LIGHTNING, ALONE, CEILING)
HEADINGS = ("what", "how", "median (least to most)", "n", *RATIOS, "wanted")


@dataclass(frozen=True)
class Unit:
    """A unit in which seconds are told, and how many of it a second has."""

    name: str
    scale: float


SECONDS = Unit("s", 1)
STEP = Unit("µs a step", 1e6)
RUN = Unit("ms a run", 1e3)


@dataclass(frozen=True)
class Wanted:
    """A figure to reach: at most so many of the row's unit, or at least so many times a rival."""

    limit: float
    rival: str | None = None

    def verdict(self, row: Row) -> str:
        """Return the figure, and whether the row reaches it."""
        if self.rival is None:
            asked, reached = f"≤ {self.limit:g} {row.unit.name}", row.value <= self.limit
        else:
            asked, reached = f"≥ {self.limit:g} {self.rival}", row.ratio(self.rival) >= self.limit
        return f"{asked}: {'reached' if reached else 'missed'}"


@dataclass(frozen=True)
class Row:
    """One measured thing.

    ``values`` are its rounds in seconds, ``rivals`` the seconds that each rival takes for the same
    work, by the heading of their ratio; ``missing`` says why there are no values.
    """

    what: str
    how: str
    unit: Unit = SECONDS
    values: Sequence[float] = ()
    rivals: Mapping[str, float] = field(default_factory=dict)
    wanted: Sequence[Wanted] = ()
    missing: str = ""

    @property
    def value(self) -> float:
        """The median in the row's unit."""
        return self.unit.scale * median(self.values)

    def ratio(self, rival: str) -> float:
        """Return how many times as quick as a rival this is."""
        return self.rivals[rival] / median(self.values)

    def cells(self) -> dict[str, str]:
        """Return the row, cell by heading."""
        named = {"what": self.what, "how": self.how}
        if self.missing:
            return {**named, "median (least to most)": f"not measured: {self.missing}"}
        least, most = (_three(self.unit.scale * end(self.values)) for end in (min, max))
        spread = f" ({least} to {most})" if len(self.values) > 1 else ""
        return {
            **named,
            "median (least to most)": f"{_three(self.value)} {self.unit.name}{spread}",
            "n": str(len(self.values)),
            **{rival: _three(self.ratio(rival)) for rival in self.rivals},
            "wanted": "; ".join(wanted.verdict(self) for wanted in self.wanted),
        }


def table(rows: Sequence[Row]) -> str:
    """Return rows as a table in Markdown, without the columns that are empty in all of them."""
    cells = [row.cells() for row in rows]
    headings = [heading for heading in HEADINGS if any(row.get(heading) for row in cells)]
    lines = [headings, ["---"] * len(headings)]
    lines += [[row.get(heading, "") for heading in headings] for row in cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def line(row: Row) -> str:
    """Return a row as one line, for whoever waits."""
    return " | ".join(filter(None, row.cells().values()))


def _three(number: float) -> str:
    """Return a number to three digits, without an exponent."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
