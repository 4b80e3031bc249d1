"""Simulations of loops that ask a gate, for `python -m tests.statistics.simulations gates N`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ablation_lab.statistics.gate import Answer, fewest, judge, level_of
from ablation_lab.statistics.intervals import Floats

LOOKS = (8, 12, 16, 24, 32)
PROPOSALS = 200
Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]


@dataclass(frozen=True)
class Found:
    """How often something was accepted, and the mean replicates of a proposal."""

    share: float
    replicates: float


def any_false_accept(draw: Draw, *, loops: int, proposals: int = PROPOSALS) -> Found:
    """How often any of many proposals without effect, against one baseline, is accepted."""
    rng = np.random.default_rng(proposals)
    accepted, used = [], []
    for _ in range(loops):
        runs = draw(rng, (LOOKS[-1], proposals + 1))
        answers = [
            judge(runs[:, i] - runs[:, 0], looks=LOOKS, level=level_of(i))
            for i in range(1, proposals + 1)
        ]
        accepted.append(any(each.answer is Answer.ACCEPT for each in answers))
        used += [each.n for each in answers]
    return Found(float(np.mean(accepted)), float(np.mean(used)))


def powers(number: int, *, effect: float, studies: int) -> Found:
    """How often a proposal is accepted that is so many standard deviations of a run better."""
    rng = np.random.default_rng(number)
    found = [
        judge(
            rng.standard_normal(LOOKS[-1]) + effect - rng.standard_normal(LOOKS[-1]),
            looks=LOOKS,
            level=level_of(number),
        )
        for _ in range(studies)
    ]
    accepted = [each.answer is Answer.ACCEPT for each in found]
    return Found(float(np.mean(accepted)), float(np.mean([each.n for each in found])))


def table_of_gates(kinds: Mapping[str, Draw], loops: int) -> Iterator[str]:
    """Yield how often any of 200 is accepted wrongly, then the power of single proposals."""
    yield "| runs | any of 200 accepted, percent | replicates of a proposal |"
    for kind, draw in kinds.items():
        found = any_false_accept(draw, loops=loops)
        yield f"| {kind} | {100 * found.share:.1f} | {found.replicates:.1f} |"
    effects = (0.8, 1.2, 2.0, 3.0)
    yield f"| proposal | level | needs | {' | '.join(f'{e} sd' for e in effects)} |"
    for number in (1, 5, 20, 100, 200):
        level = level_of(number)
        found_at = [powers(number, effect=e, studies=loops) for e in effects]
        said = " | ".join(f"{100 * each.share:.0f} ({each.replicates:.0f})" for each in found_at)
        yield f"| {number} | {level:.2g} | {fewest(level, LOOKS)} | {said} |"
