"""Values that a source prints, and what answers them, as frozen dataclasses. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class ClaimKind(StrEnum):
    """What reproducing a printed value can mean, which decides the verdicts that apply."""

    EXACT = "exact"
    CONVERGED = "converged"
    DIST = "dist"
    UNSPECIFIED = "unspecified"
    ERRATUM = "erratum"
    CITED = "cited"


@dataclass(frozen=True)
class Tolerance:
    """How far ours may be from a printed value: absolute + relative·|printed|, fixed beforehand.

    ``absolute`` has one entry, or one for each printed value.
    """

    absolute: tuple[float, ...]
    relative: float
    why: str


@dataclass(frozen=True)
class Claim:
    """A printed value, and what answers it: a study's cell and metric, or the reason why nothing.

    ``printed`` is what stands in the source; ``values`` are the numbers of it that are compared,
    none where the source prints nothing comparable. For a curve ``updates`` counts the updates at
    each of the values. ``among`` keeps all runs ("") or those that solved their task ("solved").
    """

    claim_id: str
    source: str
    kind: ClaimKind
    about: str
    printed: Any
    values: tuple[float, ...]
    updates: tuple[int, ...]
    tolerance: Tolerance | None
    study: str
    cell: Mapping[str, str]
    data: str
    metric: str
    among: str
    not_attempted: str
    note: str
