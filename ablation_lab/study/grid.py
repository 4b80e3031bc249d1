"""The grid of a study: its cells and runs, enumerated and never executed. Pure.

A factor that does not apply in a cell (its ``when`` fails) is absent there, so combinations that
differ in nothing are one cell. A cell that combines m members trains nothing itself: it reads runs
m·g … m·g+m-1 of its member cell, so the groups of one size are disjoint.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ablation_lab.errors import ConfigurationError
from ablation_lab.study.budget import Budget
from ablation_lab.study.factor import Factor, Where
from ablation_lab.study.reading import Key, Lines
from ablation_lab.study.schema import Design, Study
from ablation_lab.study.selection import overrides_of
from ablation_lab.study.settings import Wrong, WrongSettings, resolve

Choice = tuple[tuple[Factor, str], ...]  # each with the label of a level
LONGEST_CELL = 1000  # letters of a name, which is a tag of every run
# Cell → nuisance factor → level.
Choices = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Cell:
    """One combination of levels. ``reason`` says why it is excluded, where it is.

    ``ensemble_size`` is 0 for a cell that trains, else the number of members that it combines;
    ``implicit`` marks a cell that only trains such members and is not declared by itself. ``tuned``
    are the levels of the nuisance factors that ``config`` has.
    """

    name: str
    factors: Mapping[str, str]
    config: Mapping[str, Any]
    replicates: int
    reason: str = ""
    ensemble_size: int = 0
    member_cell: str = ""
    has_ensembles: bool = False
    implicit: bool = False
    tuned: Mapping[str, str] = field(default_factory=dict)


def expand(study: Study, profile: str, *, choices: Choices | None = None) -> tuple[Cell, ...]:
    """Return every cell of ``study`` under ``profile``, in declared order, excluded ones too.

    ``choices`` are the tuned levels by cell; a cell that is not tuned yet has the first ones.
    """
    budget = study.budget(profile)
    cells, wrong = [], dict[tuple[Key, str], str]()
    for choice in _choices(study, budget):
        parts = _Parts(study, profile, choice, choices or {})
        try:
            cells.append(_cell(study, budget, parts))
        except WrongSettings as error:
            for each in error.wrong:
                wrong.setdefault((parts.layers[each.layer].place_of(each), str(each)), parts.name)
    if wrong:
        lines = Lines(study.place, study.path)
        for (place, said), cell in wrong.items():
            lines.add((study.name, *place) if place else None, cell, said)
        raise lines.error
    _validate_names(study, cells)
    return tuple(_with_members(cells))


def _validate_names(study: Study, cells: Iterable[Cell]) -> None:
    """Refuse cells that nothing could tell apart, or that are called longer than a tag can be."""
    names = Counter(cell.name for cell in cells)
    for name, times in names.items():
        if times > 1:
            raise ConfigurationError(
                f"{study.place}: {times} cells are called {name!r}; rename a factor or a level"
            )
        if len(name) > LONGEST_CELL:
            raise ConfigurationError(
                f"{study.place}: {name[:80]}…: expected at most {LONGEST_CELL} letters for the "
                f"levels of a cell, found {len(name)}; shorten their labels"
            )


def _choices(study: Study, budget: Budget) -> list[Choice]:
    """Return each distinct combination of the levels that apply, of those that are designed.

    It grows by one factor after the other, so that what is not wanted is never gone through.
    """
    choices: list[Choice] = [()]
    for factor in study.factors:
        grown = (each for choice in choices for each in _grown(choice, factor))
        choices = [each for each in grown if _is_wanted(study, budget, each)]
    return choices


def _grown(choice: Choice, factor: Factor) -> Iterator[Choice]:
    """Yield a combination with each level of one more factor; as it is where that is absent."""
    if factor.when and not _holds(factor.when, _labels(choice)):
        yield choice
        return
    for level in factor.levels:
        yield (*choice, (factor, level))


def _is_wanted(study: Study, budget: Budget, choice: Choice) -> bool:
    """Whether a combination is part of the study's design, and of what the profile keeps."""
    if budget.levels and not _allowed(budget.levels, _labels(choice)):
        return False
    if study.design is not Design.ONE_AT_A_TIME:
        return True
    base = study.baseline
    return sum(level != base.get(factor.name, level) for factor, level in choice) <= 1


def _labels(choice: Choice) -> dict[str, str]:
    return {factor.name: level for factor, level in choice}


def _holds(where: Where, labels: Mapping[str, str]) -> bool:
    """Whether every named factor applies and has one of the named levels."""
    return all(labels.get(name) in wanted for name, wanted in where.items())


def _allowed(levels: Where, labels: Mapping[str, str]) -> bool:
    """Whether a profile's restriction keeps a cell; factors that do not apply do not restrict."""
    return all(labels.get(name, wanted[0]) in wanted for name, wanted in levels.items())


@dataclass(frozen=True)
class _Layer:
    """Settings, and the key of the study's file under which they stand; () is nowhere in it."""

    settings: Mapping[str, Any]
    at: Key = ()

    def place_of(self, wrong: Wrong) -> Key:
        """Return where in the file a wrong setting stands; in a list it is the entry itself."""
        listed = not self.at or isinstance(self.at[-1], int)
        return self.at if listed else (*self.at, *wrong.key)


class _Parts:
    """What a cell is made of: its levels, and the layers of its settings."""

    def __init__(self, study: Study, profile: str, choice: Choice, choices: Choices) -> None:
        self.factors = {factor.name: level for factor, level in choice}
        self.name = ",".join(f"{factor}={label}" for factor, label in self.factors.items())
        chosen = choices.get(self.name, {})
        self.tuned = {f.name: chosen.get(f.name, f.levels[0]) for f in study.nuisances}
        self.layers = (_Layer(study.run, ("run",)), *self._over(study, profile, choice))

    def _over(self, study: Study, profile: str, choice: Choice) -> Iterator[_Layer]:
        budget, at = study.budget(profile), ("profiles", profile)
        yield _Layer(overrides_of(study.selection), ("selection",))
        for factor, level in choice:
            yield _Layer(factor.settings[level], factor.place_of(level))
        for key, where, settings in budget.layers(at):
            if _holds(where, self.factors):
                yield _Layer(settings, key)
        for factor in study.nuisances:
            level = self.tuned[factor.name]
            yield _Layer(factor.settings[level], factor.place_of(level))
        yield _Layer(study.of_call)


def _cell(study: Study, budget: Budget, parts: _Parts) -> Cell:
    base, *overrides = (layer.settings for layer in parts.layers)
    name, factors, tuned = parts.name, parts.factors, parts.tuned
    project = study.path.parents[2] if study.path else None
    config = resolve(base, overrides, f"{study.place}: {name}", project=project)
    size = config.get("ensemble", {}).get("size", 1)
    if size == 1:
        config.pop("ensemble", None)
    elif study.nuisances:
        raise ConfigurationError(
            f"{study.place}: {name}: an ensemble trains nothing, so nothing can be tuned in it; "
            f"found the nuisance factors {', '.join(tuned)}"
        )
    elif budget.replicates.looks:
        raise ConfigurationError(
            f"{study.place}: {name}: an ensemble combines the runs of another cell, which its own "
            "comparisons cannot ask for; expected replicates as a number, found 'until: decided'"
        )
    reasons = [entry.reason for entry in study.exclusions if _holds(entry.where, factors)]
    return Cell(
        name=name,
        factors=factors,
        config=config,
        replicates=max(1, budget.replicates.at_most // size),
        reason=reasons[0] if reasons else "",
        ensemble_size=0 if size == 1 else size,
        tuned=tuned,
    )


def _with_members(cells: list[Cell]) -> list[Cell]:
    """Bind each ensemble cell to the cell that trains its members, adding it where needed."""
    result = list(cells)
    for index, cell in enumerate(cells):
        if not cell.ensemble_size or cell.reason:
            continue
        config = {key: value for key, value in cell.config.items() if key != "ensemble"}
        needed = cell.replicates * cell.ensemble_size
        found = [i for i, other in enumerate(result) if other.config == config and not other.reason]
        if found:
            member = result[found[0]]
            replicates = max(member.replicates, needed)
            result[found[0]] = replace(member, has_ensembles=True, replicates=replicates)
        else:
            member = Cell(
                name=f"{cell.name},members",
                factors=cell.factors,
                config=config,
                replicates=needed,
                has_ensembles=True,
                implicit=True,
            )
            result.append(member)
        result[index] = replace(result[index], member_cell=member.name)
    return result
