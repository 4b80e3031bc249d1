"""What a study cost, each of its verdicts, and about what the open ones would.

In: a study's runs, which say what they spent, and its comparisons. Out: a sentence; none where no
run says anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf, isfinite
from typing import Any

import pandas as pd

from ablation_lab.statistics.comparisons import Comparison, Standing

HOUR, KWH = 3600.0, 3.6e6  # seconds, joules
REACH = 1.43  # (1.96 + 0.84) / 1.96: shown with 80 % is what is so many half widths from 0
MOST = 1_000  # replicates beyond which a difference is as good as none


@dataclass(frozen=True)
class Spent:
    """CPU-seconds, GPU-seconds, joules, and what metered them; 0 joules where nothing did."""

    cpu: float
    gpu: float
    joules: float = 0.0
    meters: str = ""

    def times(self, share: float) -> Spent:
        """So much of it."""
        return Spent(self.cpu * share, self.gpu * share, self.joules * share, self.meters)

    def said(self, rates: Mapping[str, Any]) -> str:
        """In words, with its price where rates are declared."""
        parts = [f"{duration(self.cpu)} of CPU"]
        parts += [f"{duration(self.gpu)} of GPU"] if self.gpu else []
        parts += [f"{self.joules / KWH:.3g} kWh by {self.meters}"] if self.joules else []
        price = self._price(rates)
        parts += [f"{price:.3g} {rates.get('currency', '')}".strip()] if price else []
        return ", ".join(parts)

    def _price(self, rates: Mapping[str, Any]) -> float:
        units = {"per_cpu_hour": self.cpu / HOUR, "per_gpu_hour": self.gpu / HOUR}
        units["per_kwh"] = self.joules / KWH
        return float(sum(amount * rates.get(name, 0.0) for name, amount in units.items()))


def duration(seconds: float) -> str:
    """Seconds as a person reads them."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def spent(runs: pd.DataFrame) -> Spent:
    """What the runs spent that say so."""
    cpu, gpu, joules = runs[["cpu_seconds", "gpu_seconds", "joules"]].sum().tolist()
    return Spent(cpu, gpu, joules, " and ".join(sorted(set(runs["metered_by"]) - {""})))


def cost_of(runs: pd.DataFrame, made: Sequence[Comparison], rates: Mapping[str, Any]) -> str:
    """What runs cost, each verdict on them, and about what the open ones would."""
    known = runs[runs["cpu_seconds"].notna()]
    if known.empty:
        return ""
    total = spent(known)
    return "; ".join(
        [f"{total.said(rates)} in {len(known)} runs", *_verdicts(made, total, len(known), rates)]
    )


def _verdicts(
    made: Sequence[Comparison], total: Spent, runs: int, rates: Mapping[str, Any]
) -> Iterator[str]:
    if decided := sum(each.decided for each in made):
        yield f"a verdict cost about {total.times(1 / decided).said(rates)}"
    wanted = [(each, replicates_to_decide(each)) for each in made if not each.decided]
    near = [(each, ceil(n)) for each, n in wanted if n <= MOST]
    if near:
        more = _more_runs(near)
        yield (
            f"to decide {len(near)} that are open, if they are as estimated, would cost about "
            f"{total.times(more / runs).said(rates)}, {more} runs"
        )
    if far := len(wanted) - len(near):
        yield f"{far} open would take more than {MOST:,} replicates"


def replicates_to_decide(made: Comparison) -> float:
    """The replicates that show a difference as large as the estimate with 80 %; infinite for none.

    Of n replicates with an interval of half width h: n·(1.43·h/|d|)².
    """
    if made.standing is Standing.NEEDS:
        return float(made.needs or inf)
    half = (made.difference.high - made.difference.low) / 2
    distance = abs(made.difference.estimate)
    if not distance or not isfinite(half):
        return inf
    return max(made.difference.n + 1.0, made.difference.n * (REACH * half / distance) ** 2)


def _more_runs(wanted: Iterable[tuple[Comparison, int]]) -> int:
    """The runs that all cells lack of the replicates that their comparisons want."""
    lacking: dict[str, int] = {}
    for made, replicates in wanted:
        for cell in (made.first, made.second):
            more = max(replicates - len(cell.values), 0)
            lacking[cell.cell] = max(lacking.get(cell.cell, 0), more)
    return sum(lacking.values())
