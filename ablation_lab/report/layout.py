"""Where each cell stands in a pivot table.

In: a declaration. Out: a `Grid` of row keys and column keys in declared order of the levels, with
the place of every declared and every excluded cell. A cell to which a column's factor does not
apply (one weight layer has no activation) stands in each of that factor's columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product

from ablation_lab.study.declaration import Cell, Declaration
from ablation_lab.study.factor import Factor
from ablation_lab.study.schema import Design

ABSENT = "—"  # the factor does not apply in that cell
CELL = "cell"  # stands for the cell's own name where the factors do not tell cells apart
FULL = "full model"
MOST_ACROSS = 6  # columns of estimates that fit side by side on a page
FEW_ACROSS = 3  # columns, each of which has room for its factor's label

Key = tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """A cell in the grid; `excluded` holds the reason where the study rules it out."""

    cell: str
    factors: Mapping[str, str]
    excluded: str = ""


@dataclass(frozen=True)
class Grid:
    """Row and column factors, their keys in order, and what stands at each pair of keys."""

    rows: Key
    columns: Key
    down: tuple[Key, ...]
    across: tuple[Key, ...]
    places: Mapping[tuple[Key, Key], Place]


def grid(declaration: Declaration) -> Grid:
    """The declared layout, completed; without one, rows are the first factor, columns the others.

    A grid with most places empty, or whose factors do not tell the cells apart, becomes a list.
    """
    places = _places(declaration)
    rows, columns = _factor_names(declaration)
    made = _grid(declaration, rows, columns, places)
    if len({place.cell for place in made.places.values()}) < len(places):
        return _grid(declaration, (CELL,), (), places)
    if declaration.layout is None and 2 * len(places) < len(made.down) * len(made.across):
        return _grid(declaration, (*rows, *columns), (), places)
    return made


def telling(declaration: Declaration) -> tuple[Factor, ...]:
    """The factors that tell cells apart; the first factor where nothing is compared."""
    return declaration.compared or declaration.factors[:1]


def level_columns(declaration: Declaration) -> Key:
    """The headings of the columns that tell cells apart, in a table of one row per cell."""
    return tuple(factor.label for factor in telling(declaration)) or (CELL,)


def levels_of(declaration: Declaration, cell: Cell) -> Key:
    """What a cell has in those columns; its own name where the study has no factors."""
    levels = tuple(cell.factors.get(factor.name, ABSENT) for factor in telling(declaration))
    return levels or (cell.cell,)


def label(declaration: Declaration, name: str) -> str:
    """The words for a factor in a header."""
    return CELL if name == CELL else declaration.factor(name).label


def narrow(declaration: Declaration) -> Grid:
    """The grid, with column factors moved to the rows until its columns fit side by side.

    Single changes of one model are a list, whatever the number of levels.
    """
    made = grid(declaration)
    rows, columns = made.rows, made.columns
    if declaration.design is Design.ONE_AT_A_TIME and declaration.layout is None and columns:
        return _grid(declaration, (*rows, *columns), (), _places(declaration))
    while len(made.across) > MOST_ACROSS and len(columns) > 1:
        rows, columns = (*rows, columns[0]), columns[1:]
        made = _grid(declaration, rows, columns, _places(declaration))
    return made


def header(declaration: Declaration, made: Grid, metric: str) -> tuple[Key, ...]:
    """One line per column factor, the last of them with the labels of the rows.

    Where its columns are many, the last factor's label spans them from a line of its own.
    """
    labels = tuple(label(declaration, name) for name in made.rows)
    if not made.columns:
        return ((*labels, metric),)
    blank = ("",) * len(labels)
    *upper, last = [label(declaration, name) for name in made.columns]
    lines = [
        (*blank, *(f"{words} {key[depth]}" for key in made.across))
        for depth, words in enumerate(upper)
    ]
    levels = tuple(key[-1] for key in made.across)
    if len(levels) <= FEW_ACROSS:
        return (*lines, (*labels, *(f"{last} {level}" for level in levels)))
    return (*lines, (*blank, *(last for _ in levels)), (*labels, *levels))


def change_texts(declaration: Declaration, made: Grid) -> tuple[str, ...] | None:
    """Each row of a list by its one change from the baseline, where that is the study's design.

    None for other designs, and where a row differs in more than one factor.
    """
    bases = [cell.factors for cell in declaration.cells if cell.cell == declaration.baseline]
    if declaration.design is not Design.ONE_AT_A_TIME or made.columns or not bases:
        return None
    base = _key(Place("", bases[0]), made.rows)
    changes = [
        [f"{name} = {level}" for name, level, old in zip(made.rows, key, base, strict=True)
         if level != old]
        for key in made.down
    ]  # fmt: skip
    if any(len(each) > 1 for each in changes):
        return None
    return tuple(each[0] if each else FULL for each in changes)


def _factor_names(declaration: Declaration) -> tuple[Key, Key]:
    names = tuple(factor.name for factor in telling(declaration))
    if declaration.layout is None:
        return names[:1], names[1:]
    rows, columns = declaration.layout.rows, declaration.layout.columns
    rest = tuple(name for name in names if name not in (*rows, *columns))
    return (rows, (*columns, *rest)) if rows else (rest[:1], (*columns, *rest[1:]))


def _places(declaration: Declaration) -> list[Place]:
    declared = [Place(c.cell, c.factors) for c in declaration.cells if not c.trains_members]
    return declared + [Place(e.cell, e.factors, e.reason) for e in declaration.excluded]


def _grid(declaration: Declaration, rows: Key, columns: Key, places: list[Place]) -> Grid:
    across = _keys(declaration, columns, _fullest(places, columns))
    return Grid(
        rows=rows,
        columns=columns,
        down=_keys(declaration, rows, places),
        across=across,
        places={
            (_key(place, rows), key): place
            for place, key in product(places, across)
            if agrees(place.factors, columns, key)
        },
    )


def agrees(factors: Mapping[str, str], names: Key, key: Key) -> bool:
    """Whether a cell's levels are those of the key; a factor that does not apply always agrees."""
    return all(factors.get(name, level) == level for name, level in zip(names, key, strict=True))


def _fullest(places: list[Place], names: Key) -> list[Place]:
    """The places to which every named factor applies; all, where there is none."""
    return [place for place in places if set(names) <= set(place.factors)] or places


def _key(place: Place, names: Key) -> Key:
    return tuple(place.cell if n == CELL else place.factors.get(n, ABSENT) for n in names)


def _keys(declaration: Declaration, names: Key, places: Iterable[Place]) -> tuple[Key, ...]:
    """The keys that occur, sorted by declared levels (a level that does not apply comes first)."""
    found = dict.fromkeys(_key(place, names) for place in places)
    if CELL in names:
        return tuple(found)
    levels = [declaration.factor(name).levels for name in names]

    def order(key: Key) -> tuple[int, ...]:
        return tuple(
            known.index(level) if level in known else -1
            for level, known in zip(key, levels, strict=True)
        )

    return tuple(sorted(found, key=order))
