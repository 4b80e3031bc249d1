"""How many runs a cell has: a number, or as many as decide its comparisons. Pure.

Comes in: what a profile says under ``replicates``. Goes out: the number, or the looks at which the
comparisons are tested, fixed before the first run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PlainValidator, TypeAdapter, ValidationInfo, model_validator

from ablation_lab.study.reading import Whole, Written, refuse

# Tuning replicates are counted from here, so that none of them is a reporting one.
FIRST_TUNING_REPLICATE = 1_000_000
APART = 1.2  # the last look but one has at most this part of the runs of the last
Most = Annotated[Whole, Field(ge=1, le=FIRST_TUNING_REPLICATE)]


class UntilDecided(Written):
    """Runs of every cell until its comparisons are decided; where both are equal, a number."""

    section: ClassVar[str] = "replicates"

    at_least: Annotated[Whole, Field(ge=2)] = Field(description="Runs of every cell.")
    at_most: Most = Field(description="Runs of a cell whose comparisons stay open.")
    until: Literal["decided"] = Field(description="When a cell gets no more runs.")

    @model_validator(mode="after")
    def _rising(self) -> UntilDecided:
        if self.at_most <= self.at_least:
            said = f"expected more than at_least, {self.at_least}, found {self.at_most}"
            refuse([(("at_most",), f"{said}; as many in any case are one number")])
        return self

    @property
    def looks(self) -> tuple[int, ...]:
        """The runs of a cell at which is looked, each time about 1.4 times as many; () never.

        8 to 32 is 8, 12, 16, 24, 32; one that is close to the last is left out.
        """
        if self.at_least == self.at_most:
            return ()
        return (*(n for n in self._growing() if n * APART <= self.at_most), self.at_most)

    def _growing(self) -> Iterator[int]:
        doubled = self.at_least
        while doubled < self.at_most:
            yield from (doubled, ceil(1.5 * doubled))
            doubled *= 2


def _read(value: Any, info: ValidationInfo) -> UntilDecided:
    """Read a mapping as such, so that what is wrong with it has its key, else a number."""
    if isinstance(value, Mapping):
        return UntilDecided.model_validate(value, context=info.context)
    number = TypeAdapter(Most).validate_python(value)
    return UntilDecided.model_construct(at_least=number, at_most=number, until="decided")


Replicates = Annotated[
    UntilDecided, PlainValidator(_read, json_schema_input_type=Most | UntilDecided)
]
