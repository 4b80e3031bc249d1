"""What a gate is asked: a candidate and what it is held against, each a cell of a study.

Comes in: words of the command line. Goes out: a ``Proposal``, whose cells, metric and replicates
can be compared.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.runner.configuration import Invocation
from ablation_lab.runner.planning import Asked
from ablation_lab.runner.session import declare_studies
from ablation_lab.study.declaration import Cell, Declaration
from ablation_lab.study.declare import Declared, declaration_of

BASELINE = "baseline"
YAML = ".yaml"
CANDIDATE = "STUDY[:CELL]|FILE.yaml[:CELL]"


@dataclass(frozen=True)
class Side:
    """One of both cells, and the declaration of its study with the gate's metric first."""

    declared: Declared
    declaration: Declaration
    cell: Cell

    @property
    def place(self) -> str:
        """Where its study lies, for error messages."""
        return self.declared.study.place

    @property
    def name(self) -> str:
        """The study and the cell, as they are asked for."""
        return f"{self.declaration.study}:{self.cell.cell}"


@dataclass(frozen=True)
class Proposal:
    """A candidate, what it is held against, and the replicates at which is looked."""

    candidate: Side
    against: Side
    looks: tuple[int, ...]

    @property
    def declared(self) -> tuple[Declared, ...]:
        """Both studies, or the one that both cells are of."""
        sides = {side.declaration.study: side.declared for side in (self.candidate, self.against)}
        return tuple(sides.values())

    @property
    def told(self) -> dict[str, str]:
        """What the ledger says of it."""
        metric = self.candidate.declaration.metric
        return {"candidate": self.candidate.name, "against": self.against.name, "metric": metric}

    @property
    def digest(self) -> str:
        """What it is: the content of both cells, whatever they are called."""
        keys = [side.cell.runs[0].key for side in (self.candidate, self.against)]
        text = json.dumps([*keys, self.candidate.declaration.metric, self.looks])
        return hashlib.sha256(text.encode()).hexdigest()

    def asks(self, replicates: int) -> Asked:
        """So many replicates of both cells, none of any other."""
        of = {each.study.name: _only_members(each) for each in self.declared}
        for side in (self.candidate, self.against):
            of[side.declaration.study][side.cell.cell] = replicates
        return Asked(replicates=of)


@dataclass(frozen=True)
class Wanted:
    """What was typed in: a candidate, what else a gate asks, settings, and files of studies.

    ``beside`` are the files of a candidate, or of what it is held against, that are named as such.
    """

    candidate: str
    against: str
    metric: str | None
    ledger: str
    settings: tuple[str, ...]
    beside: tuple[Path, ...]


def wanted(options: argparse.Namespace, words: Sequence[str]) -> Wanted:
    """Tell the candidate from the settings. Errors: ``ConfigurationError``."""
    candidates = [word for word in words if "=" not in _study(word)]
    if len(candidates) != 1:
        found = ", ".join(candidates) or "none"
        raise ConfigurationError(f"command line: expected one {CANDIDATE}, found {found}")
    studies = dict.fromkeys([_study(candidates[0]), _study(options.against)])
    files = [study for study in studies if study.endswith(YAML)]
    names = [study for study in studies if study not in (*files, BASELINE)]
    chosen = [f"study=[{','.join(names)}]"] if names else []
    return Wanted(
        candidate=candidates[0],
        against=options.against,
        metric=options.metric,
        ledger=options.alpha_ledger,
        settings=(*chosen, *(word for word in words if word != candidates[0])),
        beside=tuple(Path(file).absolute() for file in files),
    )


def proposed(call: Invocation, asked: Wanted) -> Proposal:
    """Return both cells. Errors: ``ConfigurationError`` for what cannot be compared."""
    declared = {entry.study.name: entry for entry in declare_studies(call)}
    mine = _candidate(_side(declared, _study(asked.candidate), asked.metric), asked.candidate)
    if asked.against == BASELINE:
        against = replace(mine, cell=_cell(mine.declaration, "", [_base(mine)]))
    else:
        other = _side(declared, _study(asked.against), mine.declaration.metric)
        base = other.declaration.baseline
        free = [base] if base else _cells(other.declaration)
        against = replace(other, cell=_cell(other.declaration, _named(asked.against), free))
    looks = mine.declaration.looks or (len(mine.cell.runs),)
    if len(against.cell.runs) < looks[-1]:
        raise ConfigurationError(
            f"{against.place}: {against.cell.cell}: expected as many replicates as {mine.place} "
            f"looks at, {looks[-1]}, found {len(against.cell.runs)}; raise its replicates"
        )
    return Proposal(mine, against, looks)


def _candidate(side: Side, word: str) -> Side:
    """Return the cell that is named, or the only one that is no baseline."""
    bases = {side.declaration.baseline, *side.declaration.baselines.values()}
    free = [cell for cell in _cells(side.declaration) if cell not in bases]
    return replace(side, cell=_cell(side.declaration, _named(word), free))


def _base(side: Side) -> str:
    base = side.declaration.baseline_of(side.cell.cell)
    if base in (None, side.cell.cell):
        raise ConfigurationError(
            f"{side.place}: {side.cell.cell}: expected a baseline of it, found none; declare one, "
            "or say --against STUDY:CELL"
        )
    return str(base)


def _study(word: str) -> str:
    """Return the study of ``STUDY:CELL``, by its name or its file."""
    return word.partition(":")[0]


def _named(word: str) -> str:
    return word.partition(":")[2]


def _cells(declaration: Declaration) -> list[str]:
    return [cell.cell for cell in declaration.cells if not cell.trains_members]


def _side(declared: Mapping[str, Declared], study: str, metric: str | None) -> Side:
    """Return a study with the metric first, and its first cell until one is chosen."""
    entry = declared[Path(study).stem if study.endswith(YAML) else study]
    if entry.study.nuisances:
        raise ConfigurationError(
            f"{entry.study.place}: a gate compares cells as they are; expected no nuisance factor, "
            f"found {entry.study.nuisances[0].name!r}; give it the level that tuning chose"
        )
    made = declaration_of(entry, {})
    known = {each.name: each for each in made.metrics}
    name = metric or made.metric
    if name not in known:
        raise ConfigurationError(
            f"{entry.study.place}: metrics: unknown metric {name!r}; {nearest(name, known)}"
        )
    others = [each for each in made.metrics if each.name != name]
    first = made.model_copy(update={"metrics": (known[name], *others)})
    return Side(entry, first, first.cells[0])


def _cell(declaration: Declaration, named: str, free: Sequence[str]) -> Cell:
    cells = {cell.cell: cell for cell in declaration.cells}
    place, names = f"study/{declaration.study}.yaml", _cells(declaration)
    if named and named not in names:
        raise ConfigurationError(f"{place}: no cell {named!r}; {nearest(named, names)}")
    if not named and len(free) != 1:
        raise ConfigurationError(
            f"{place}: expected one cell, found {len(free)}; say which one: STUDY:CELL, such as "
            f"{declaration.study}:{(*free, *names)[0]}"
        )
    return cells[named or free[0]]


def _only_members(entry: Declared) -> dict[str, int]:
    """Return no replicate of every cell, but for those that others are combined from."""
    return {cell.name: 0 for cell in entry.cells if not cell.implicit}
