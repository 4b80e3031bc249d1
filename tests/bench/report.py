"""The page: what was measured on which machine, one section after the other, and the figure."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import matplotlib as mpl

from ablation_lab.runner.declaring import provenance
from tests.bench.rows import Row, table

INTRODUCTION = """# How quick it is

`make bench` measured this on one machine in one process run; rivals and lab took turns. Every
figure is the median of n measurements, with the least and the most in brackets. *Plain loop* is a
PyTorch loop over data in memory with torch's own optimiser; *Lightning fit* is one `pl.Trainer.fit`
with a DataLoader. Ratios are of medians; more is quicker. Each figure that was wanted stands
with its verdict.

{machine}
"""
FIGURE = """
![Seconds against the number of runs](bench_growth.svg)

*Figure: seconds that 1,000 steps of so many XOR 2-10-10-10-1 runs take on one core, set-up
included, in stacks of up to 1,000; median of {rounds}, bars from the least to the most.*
"""


@dataclass(frozen=True)
class Section:
    """A part of the page: rows that are measured in so many rounds, and what they are."""

    title: str
    text: str
    measure: Callable[[int], Iterable[Row]]

    def markdown(self, rows: Sequence[Row]) -> str:
        """Return the section with its rows."""
        return f"\n## {self.title}\n\n{self.text}\n{table(rows)}"


def page(
    sections: Mapping[Section, Sequence[Row]],
    growth: Mapping[int, Sequence[float]],
    *,
    accelerator: str,
) -> str:
    """Return the whole page; ``growth`` is what its figure shows, ``accelerator`` what was used."""
    parts = [section.markdown(rows) for section, rows in sections.items()]
    figure = FIGURE.format(rounds=min(map(len, growth.values())))
    return INTRODUCTION.format(machine=machine(accelerator)) + "".join(parts) + figure


def machine(accelerator: str) -> str:
    """Return what the figures were measured on, in one line."""
    facts = provenance()
    return (
        f"Machine: {_processor()}, {os.cpu_count()} cores, {platform.system()}, "
        f"Python {facts['python']}, torch {facts['torch']}, accelerator: {accelerator}; "
        f"commit {facts['commit']}."
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def growth_figure(seconds: Mapping[int, Sequence[float]], path: Path) -> None:
    """Draw seconds, round by round, against the number of runs; both axes are logarithmic."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullFormatter

    # Fixed names inside the file, so that equal figures are equal bytes.
    with mpl.rc_context({"svg.hashsalt": "ablation-lab", "svg.fonttype": "none"}):
        figure = Figure(figsize=(5, 3.2), layout="constrained")
        axes = figure.subplots()
        runs = list(seconds)
        middle = [median(values) for values in seconds.values()]
        bars = [
            [m - min(values) for m, values in zip(middle, seconds.values(), strict=True)],
            [max(values) - m for m, values in zip(middle, seconds.values(), strict=True)],
        ]
        axes.errorbar(runs, middle, yerr=bars, fmt="o-", color="#0072B2", label="in stacks")
        proportion = [middle[0] / runs[0] * n for n in runs]
        axes.plot(runs, proportion, ":", color="0.5", label="in proportion")
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):  # plain numbers, which need no fonts of mathematics
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
            axis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("runs")
        axes.set_ylabel("seconds for 1,000 steps")
        axes.legend(frameon=False)
        figure.savefig(path, metadata={"Date": None})
