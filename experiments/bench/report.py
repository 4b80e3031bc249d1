"""The measurements as a table in Markdown, with the machine that gave them, and the figure."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import matplotlib as mpl
import torch

from experiments.driver.provenance import provenance

INTRODUCTION = """# How quick it is

`make bench` measured this on one machine in one process run; rivals and lab took turns. Every
figure is the median of {rounds} rounds, with the least and the most in brackets. *Plain loop* is a
PyTorch loop over data in memory with torch's own optimiser; *Lightning fit* is one `pl.Trainer.fit`
with a DataLoader, set-up included. Both, and the lab, use one thread unless it says otherwise.
Steps of a stack are divided by its runs. Ratios are against the plain loop of the same network;
more is quicker.

{machine}

| what | how | median (least to most) | × plain loop |
| --- | --- | --- | --- |
"""
AFTER = """
![Seconds against the number of runs](bench_growth.svg)

*Figure: seconds that 1,000 steps of so many XOR 2-10-10-10-1 runs take on one core, set-up
included, in stacks of up to 1,000.*
"""


@dataclass(frozen=True)
class Row:
    """One measured thing: its rounds in seconds, the unit that it is told in, and its rival."""

    title: str
    name: str
    unit: str
    scale: float
    values: Sequence[float]
    rival: float | None

    @property
    def line(self) -> str:
        """Return the row of the table."""
        value, low, high = (
            _three(self.scale * each)
            for each in (median(self.values), min(self.values), max(self.values))
        )
        spread = f" ({low} to {high})" if len(self.values) > 1 else ""
        ratio = f"{_three(self.rival / median(self.values))}" if self.rival else ""
        return f"| {self.title} | {self.name} | {value} {self.unit}{spread} | {ratio} |"


@dataclass
class Report:
    """The rows in the order in which they were measured."""

    rounds: int
    rows: list[Row] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Keep one more row."""
        self.rows.append(row)

    def markdown(self) -> str:
        """Return the page."""
        head = INTRODUCTION.format(rounds=self.rounds, machine=machine())
        return head + "".join(f"{row.line}\n" for row in self.rows) + AFTER


def machine() -> str:
    """Return what the figures were measured on, in one line."""
    facts = provenance()
    return (
        f"Machine: {_processor()}, {os.cpu_count()} cores, {platform.system()}, "
        f"Python {facts['python']}, torch {facts['torch']}, "
        f"accelerator: {'yes' if torch.cuda.is_available() else 'none'}; commit {facts['commit']}."
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def growth_figure(seconds: Mapping[int, float], path: Path) -> None:
    """Draw seconds against the number of runs, both axes logarithmic."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullFormatter

    # Fixed names inside the file, so that equal figures are equal bytes.
    with mpl.rc_context({"svg.hashsalt": "ablation-lab", "svg.fonttype": "none"}):
        figure = Figure(figsize=(5, 3.2), layout="constrained")
        axes = figure.subplots()
        runs = list(seconds)
        first = seconds[runs[0]] / runs[0]
        axes.loglog(runs, list(seconds.values()), "o-", color="#0072B2", label="in stacks")
        axes.loglog(runs, [first * n for n in runs], ":", color="0.5", label="in proportion")
        for axis in (axes.xaxis, axes.yaxis):  # plain numbers, which need no fonts of mathematics
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
            axis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("runs")
        axes.set_ylabel("seconds for 1,000 steps")
        axes.legend(frameon=False)
        figure.savefig(path, metadata={"Date": None})


def _three(number: float) -> str:
    """Return a number to three digits, without an exponent."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
