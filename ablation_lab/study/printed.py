"""Printed values as the store holds them, apart from any result.

In: the entries of a `declaration.json` or of the ledger's `claims.json`. Out: frozen dataclasses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


class LedgerError(ValueError):
    """A stored ledger that cannot be read."""


@dataclass(frozen=True)
class Tolerance:
    """How far ours may be from a printed value, fixed in the ledger before any run.

    `absolute` has one entry for all values, or one for each.
    """

    absolute: tuple[float, ...]
    relative: float
    why: str

    def slack(self, printed: NDArray[np.float64]) -> NDArray[np.float64]:
        """The largest distance allowed for each printed value: absolute + relative·|printed|."""
        finite = np.where(np.isfinite(printed), np.abs(printed), 0.0)
        return np.broadcast_to(np.array(self.absolute), printed.shape) + self.relative * finite


@dataclass(frozen=True)
class PrintedClaim:
    """A printed value and what answers it; `metric` is empty for the study's own.

    `values` are the numbers that are compared, `updates` counts the updates at each of them where
    they are a curve; `text` is what stands in the source.
    """

    claim_id: str
    kind: str
    values: tuple[float, ...] = ()
    text: str = ""
    note: str = ""
    metric: str = ""
    updates: tuple[int, ...] = ()
    tolerance: Tolerance | None = None
    among: str = ""
    about: str = ""
    source: str = ""
    study: str = ""
    cell: Mapping[str, str] = field(default_factory=dict)
    data: str = ""
    not_attempted: str = ""

    @property
    def printed(self) -> float | None:
        """The value where it is a single number of a run, None otherwise."""
        return self.values[0] if len(self.values) == 1 and not self.updates else None

    @property
    def shown(self) -> str:
        """What is printed, in the source's digits where they are known."""
        return self.text or ("" if self.printed is None else f"{self.printed:.10g}")


def read_ledger(text: str, where: str) -> tuple[PrintedClaim, ...]:
    """Read the ledger of all claims. Raises LedgerError that names its place."""
    try:
        return tuple(claim(item) for item in json.loads(text))
    except (KeyError, TypeError, ValueError) as error:
        raise LedgerError(
            f"{where}: claims.json cannot be read: {error}; run a study again to rewrite it"
        ) from error


def claim(item: Mapping[str, Any]) -> PrintedClaim:
    """Read one entry. Raises KeyError, TypeError or ValueError for one that is no claim."""
    printed = item.get("printed")
    values = item.get("values") or ([] if printed is None else [printed])
    tolerance = item.get("tolerance")
    texts = ("text", "note", "metric", "among", "about", "source", "study", "data", "not_attempted")
    return PrintedClaim(
        claim_id=item["claim_id"],
        kind=item["kind"],
        values=tuple(float(value) for value in values),
        updates=tuple(int(update) for update in item.get("updates") or ()),
        tolerance=_tolerance(tolerance) if tolerance else None,
        cell={name: str(level) for name, level in (item.get("cell") or {}).items()},
        **{name: item.get(name) or "" for name in texts},
    )


def _tolerance(item: Mapping[str, Any]) -> Tolerance:
    absolute = tuple(float(value) for value in item["absolute"])
    return Tolerance(absolute, float(item["relative"]), str(item["why"]))
