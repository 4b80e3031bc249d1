"""What a profile spends on a study: replicates, tuning, and what it changes in cells. Pure.

Comes in: what a file says under ``profiles``. Goes out: models, and what would undo a factor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from ablation_lab.study.factor import Factor, Settings, Where, WrittenWhere
from ablation_lab.study.looks import Replicates
from ablation_lab.study.reading import Key, Problem, Whole, Written


class Adjustment(Written):
    """Settings that a profile changes in some cells only."""

    section: ClassVar[str] = "adjustments"

    where: WrittenWhere = Field(description="Levels of factors, all of which a cell has.")
    overrides: Settings = Field(description="Settings as dotted keys, such as model.widths.")


class Tuning(Written):
    """What tuning of nuisance factors spends on every cell."""

    trials: Annotated[Whole, Field(ge=1)] = Field(description="Combinations that are tried.")
    replicates: Annotated[Whole, Field(ge=1)] = Field(description="Runs of each of them.")


class Budget(Written):
    """What one profile spends on a study: replicates a cell, and changed settings."""

    section: ClassVar[str] = "profiles"

    replicates: Replicates = Field(description="Runs of every cell, or until it is decided.")
    overrides: Settings = Field({}, description="Settings that it changes in every cell.")
    levels: WrittenWhere = Field({}, description="Levels that it restricts factors to.")
    adjustments: tuple[Adjustment, ...] = Field(
        (), description="Settings that it changes in some cells."
    )
    tuning: Tuning | None = Field(None, description="What tuning of nuisance factors spends.")
    needs: str = Field(
        "", description="What it takes to train it in bearable time, such as 'an accelerator'."
    )

    def layers(self, at: Key) -> Iterator[tuple[Key, Where, Settings]]:
        """Yield the settings that it makes, with their key in the file and the cells of each."""
        yield (*at, "overrides"), {}, self.overrides
        for index, entry in enumerate(self.adjustments):
            yield (*at, "adjustments", index, "overrides"), entry.where, entry.overrides


def evened(factors: Iterable[Factor], budget: Budget, at: Key) -> Iterator[Problem]:
    """Yield settings of a profile, in some cells or all, that would make levels the same."""
    for factor in factors:
        for place, where, settings in budget.layers(at):
            wanted = [each.get(factor.name, factor.levels) for each in (where, budget.levels)]
            among = [each for each in factor.levels if all(each in some for some in wanted)]
            if key := factor.loses(settings, among):
                said = (
                    f"undoes factor {factor.name!r}, whose levels differ in {key!r}; leave it out, "
                    "or restrict the levels"
                )
                yield place, said
