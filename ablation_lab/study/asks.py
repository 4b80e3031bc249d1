"""What a study asks in words of its factors, and the cells that answer it. Pure.

Comes in: what a file says under ``asks``, and cells by their levels. Goes out: for every ask the
contrasts of cells that are tested: one at each combination of the other levels, and their average.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Annotated

from pydantic import Field, model_validator

from ablation_lab.study.factor import Factor, Label, Labels, WrittenWhere, unknown_levels
from ablation_lab.study.reading import Key, Problem, Written, refuse

Levels = Mapping[str, str]
Step = tuple[str, ...]  # a level of each compared factor
Ordered = Annotated[Labels, Field(min_length=2)]


class Yes(StrEnum):
    """What a test has to say of the last level against the first for the answer to be yes."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    DIFFERENT = "different"


class Ask(Written):
    """A question about levels of factors, which tested differences between cells answer.

    Two levels are compared, the last one minus the first; of more the change from each to the next
    is fitted by a line. Several factors change together. With ``differs_by`` it is asked whether
    that difference is another one at the second level of a further factor than at its first.
    ``within`` keeps other factors at these levels; the difference is tested at each combination of
    those that are left, and on average.
    """

    question: str = Field(description="What is asked, as a reader would.")
    yes_if: Yes | None = Field(
        None, description="What answers it with yes, of the last level against the first."
    )
    compare: dict[Label, Ordered] = Field(
        min_length=1, description="Levels of a factor, from the one to the other, or in order."
    )
    differs_by: dict[Label, Annotated[Labels, Field(min_length=2, max_length=2)]] = Field(
        {}, max_length=1, description="Two levels of a factor between which the difference differs."
    )
    within: WrittenWhere = Field({}, description="Levels of other factors; all where not said.")

    @property
    def steps(self) -> tuple[Step, ...]:
        """The levels that are compared, in order; of each place by which they may differ."""
        compared = zip(*self.compare.values(), strict=True)
        return tuple(
            (*step, *place)
            for place, step in product(product(*self.differs_by.values()), list(compared))
        )

    @property
    def named(self) -> tuple[str, ...]:
        """The factors whose levels make a step."""
        return (*self.compare, *self.differs_by)

    @model_validator(mode="after")
    def _comparable(self) -> Ask:
        first, *others = self.compare.items()
        refuse(
            (("compare", name), f"expected {len(first[1])} levels, as of {first[0]!r}, which it "
             f"changes with; found {len(levels)}")
            for name, levels in others if len(levels) != len(first[1])
        )  # fmt: skip
        refuse(
            (("differs_by", name), f"expected two levels that are compared, found {len(first[1])}")
            for name in self.differs_by if len(first[1]) != 2
        )  # fmt: skip
        if len(set(self.steps)) < len(self.steps):
            refuse([(("compare", first[0]), f"expected distinct levels, found {[*first[1]]}")])
        refuse(
            ((key, name), f"{name!r} is what is compared; expected another factor")
            for key, names in (("within", self.within), ("differs_by", self.differs_by))
            for name in names
            if name in (self.compare if key == "differs_by" else self.named)
        )
        return self


@dataclass(frozen=True)
class Contrast:
    """The cells at each step of an ask: one each at a combination of levels, several on average.

    ``where`` are the levels that tell this combination from the others; empty for all of them.
    """

    where: Levels
    steps: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Contrasts:
    """What answers an ask under a profile: the steps that are there, everywhere and by place.

    ``kept`` are the levels within which it is asked and that all places have.
    """

    ask: Ask
    steps: tuple[Step, ...]
    whole: Contrast
    places: tuple[Contrast, ...]
    kept: Levels


def contrasts_of(ask: Ask, cells: Mapping[str, Levels]) -> Contrasts | None:
    """Return what answers an ask among cells by name; None where no cells differ so.

    A profile may leave steps out, of which two have to be there, and all that a difference of
    differences has. A factor that does not apply to a cell does not keep it from being compared.
    """
    at = {step: list(_at(step, ask, cells)) for step in ask.steps}
    steps = tuple(step for step in ask.steps if at[step])
    if len(steps) < (len(at) if ask.differs_by else 2):
        return None
    combinations = {tuple(rest.items()): rest for step in steps for _, rest in at[step]}
    found = [
        (rest, chosen)
        for rest in combinations.values()
        if (chosen := _chosen(rest, [at[step] for step in steps]))
    ]
    if not found:
        return None
    rest, apart = found[0][0], _telling([rest for rest, _ in found])
    places = tuple(
        Contrast(
            {name: rest[name] for name in apart if name in rest}, tuple((cell,) for cell in chosen)
        )
        for rest, chosen in found
    )
    everywhere = zip(*(chosen for _, chosen in found), strict=True)
    kept = {name: rest[name] for name in ask.within if name in rest and name not in apart}
    return Contrasts(ask, steps, Contrast({}, tuple(everywhere)), places, kept)


def _at(step: Step, ask: Ask, cells: Mapping[str, Levels]) -> Iterator[tuple[str, Levels]]:
    """Yield the cells at a step within the ask, each with its other levels."""
    wanted = dict(zip(ask.named, step, strict=True))
    for name, levels in cells.items():
        rest = {factor: level for factor, level in levels.items() if factor not in wanted}
        if wanted.items() <= levels.items() and all(
            level in ask.within.get(factor, (level,)) for factor, level in rest.items()
        ):
            yield name, rest


def _chosen(rest: Levels, at: Iterable[Sequence[tuple[str, Levels]]]) -> tuple[str, ...]:
    """Return the one cell of each step that has these other levels; () where one is lacking."""
    found = [[name for name, own in each if own.items() <= rest.items()] for each in at]
    return tuple(names[0] for names in found) if all(len(n) == 1 for n in found) else ()


def _telling(combinations: Sequence[Levels]) -> list[str]:
    """Return the factors in which combinations differ."""
    names = dict.fromkeys(name for each in combinations for name in each)
    return [name for name in names if len({each.get(name) for each in combinations}) > 1]


def unknown_in(asks: Sequence[Ask], factors: Sequence[Factor]) -> Iterator[Problem]:
    """Yield the factors and levels that asks name and nobody declares."""
    for index, ask in enumerate(asks):
        at: Key = ("asks", index)
        yield from unknown_levels(ask.compare, factors, (*at, "compare"))
        yield from unknown_levels(ask.differs_by, factors, (*at, "differs_by"))
        yield from unknown_levels(ask.within, factors, (*at, "within"))


def unanswered(asks: Sequence[Ask], cells: Mapping[str, Levels]) -> Iterator[Problem]:
    """Yield the asks that no cells answer."""
    for index, ask in enumerate(asks):
        if contrasts_of(ask, cells) is None:
            said = "no two cells differ so and in nothing else"
            yield ("asks", index), f"{said}; expected levels that occur together"
