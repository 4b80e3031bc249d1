"""What studies that run until decided ask for by now, from their stored runs alone.

Comes in: the declared studies and the store. Goes out: how many replicates of each cell are asked
for, which another call, or another runner, that sees the same runs finds the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from ablation_lab.output import say
from ablation_lab.runner.configuration import Invocation
from ablation_lab.runner.planning import Asked, Missing, count, find_missing, groups
from ablation_lab.study.declare import Declared, declaration_of
from ablation_lab.study.run import Run

if TYPE_CHECKING:
    from ablation_lab.runner.results import Results
    from ablation_lab.statistics.comparisons import Compared, Comparison


def look(call: Invocation, declared: Iterable[Declared]) -> Asked:
    """Read what the studies with looks have by now, and what that asks for."""
    found = {
        entry.study.name: _compared(call, entry)
        for entry in declared
        if entry.study.budget(entry.profile).replicates.looks
    }
    return Asked(
        replicates={study: each.asked for study, each in found.items()},
        open={study: _open(each.every) for study, each in found.items()},
        said={study: _said(each.every) for study, each in found.items()},
    )


def asked_next(
    call: Invocation, missing: Missing, results: Results, tried: Collection[tuple[str, str]]
) -> tuple[Run, ...]:
    """Return what studies with looks ask for after what was tried, and say where they stand."""
    asked = look(call, missing.declared)
    found = find_missing(call, missing.declared, results.stored, asked).wanted
    wanted = tuple(run for run in found if (run.study, run.key) not in tried)
    of_study = groups(wanted, lambda run: run.study)
    for study, said in asked.said.items():
        more = len(of_study.get(study, ()))
        say(f"{study}: {said}" + (f", {count(more, 'run')} more" if more else ""))
    results.expect(wanted)
    return wanted


def _compared(call: Invocation, entry: Declared) -> Compared:
    # They need pandas and scipy, which no call without looks waits for.
    from ablation_lab.statistics.comparisons import compared
    from ablation_lab.statistics.outcomes import outcomes
    from ablation_lab.store.frame import load_frame

    declaration = declaration_of(entry, {})
    frame = load_frame(call.tracking_uri, declaration)
    return compared(outcomes(frame, declaration), declaration)


def _said(comparisons: Sequence[Comparison]) -> str:
    decided = sum(each.decided for each in comparisons)
    return f"{decided} of {count(len(comparisons), 'comparison')} decided"


def _open(comparisons: Sequence[Comparison]) -> frozenset[str]:
    undecided = [each for each in comparisons if each.is_open]
    return frozenset(cell.cell for each in undecided for cell in (each.first, each.second))
