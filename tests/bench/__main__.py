"""``python -m tests.bench``: measure, print the rows, write them as a page with its figure.

Rivals and the lab take turns, so that a machine that slows down slows both; every figure is the
median of its rounds, with the smallest and the largest beside it.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch

from ablation_lab.engines import devices
from ablation_lab.output import say
from tests.bench import card
from tests.bench.calls import CALLS
from tests.bench.fits import STACKS
from tests.bench.growth import SIZES, growth
from tests.bench.machine import MACHINE
from tests.bench.measure import FEW
from tests.bench.report import Section, growth_figure, page
from tests.bench.rows import Row, line
from tests.bench.steps import STEPS
from tests.bench.workloads import XOR

ROUNDS = 5


def main() -> None:
    """Measure everything and write ``bench.md`` and its figure."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="measurements of each figure")
    parser.add_argument("--folder", type=Path, default=Path("docs/results"), help="where to write")
    options = parser.parse_args()
    visible = devices.visible()
    # But for the last section everything is measured without a card, by the lab and by its rivals.
    os.environ[card.VARIABLE] = ""
    torch.set_num_threads(1)
    found: dict[Section, list[Row]] = {}
    for section in (STEPS, MACHINE, CALLS, STACKS, *card.sections(visible)):
        say(f"# {section.title}")
        found[section] = []
        for row in section.measure(options.rounds):
            found[section].append(row)
            say(line(row))
    grown = growth(XOR, SIZES, min(options.rounds, FEW))
    # Before the figure, which would make the checkout that was measured a changed one.
    text = page(found, grown, accelerator="for the last section" if visible else "none")
    options.folder.mkdir(parents=True, exist_ok=True)
    growth_figure(grown, options.folder / "bench_growth.svg")
    (options.folder / "bench.md").write_text(text, encoding="utf-8")
    say(f"{options.folder / 'bench.md'}")


if __name__ == "__main__":
    main()
