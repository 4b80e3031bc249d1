"""Runs in which the lab trains nothing: named values, curves and files, however they came about.

Comes in: a run of a check, a command or a function. Goes out: its record. Whatever goes wrong is a
failed record with its reason.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ablation_lab.study.metric import compute
from ablation_lab.study.record import NoConvergence, Record, Status
from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.training.command import called, commanded
from ablation_lab.training.fault import RAISED, place_of, said, traced, trying
from ablation_lab.training.packages import import_packages
from ablation_lab.training.record import failed
from ablation_lab.training.values import Computed


def computed(run: Run, stack: Stack) -> Record:
    """Return the record of a run that trains nothing here."""
    started = time.time()
    try:
        with trying("computing it"):
            found = SOURCES[stack.trainer](run, stack)
    except RAISED as error:  # a run that raises is a result of its own
        if stack.trainer is TrainerName.COMPUTED:
            return failed(run, replace(stack, runs=(run,)), started, error)
        found = Computed({}, why=said(error), output=traced(error))
    record = Record(
        run=run,
        status=Status.FINISHED,
        trainer=stack.trainer,
        metrics=found.metrics,
        curves=found.curves,
        steps=max((points[-1][0] for points in found.curves.values()), default=0),
        seconds=time.time() - started,
        started=started,
        reason=stack.reason,
        files=found.files,
    )
    if found.why:
        place = place_of(found.output, stack.plugins)
        reason = f"{_name(run)}{f' ({place})' if place else ''}: {found.why}"
        output = found.output or found.why
        return replace(record, status=Status.FAILED, reason=reason, error=output)
    step = next(_nonfinite(record), None)
    if step is None:
        return record
    return replace(record, not_converged=NoConvergence.NON_FINITE, not_converged_step=step)


def _name(run: Run) -> str:
    if "command" in run.config:
        return f"command {' '.join(run.config['command']['arguments'])!r:.80}"
    return f"function {run.config['model']['family']!r}"


def _nonfinite(record: Record) -> Iterator[int]:
    """Yield the steps at which something that the study measures is no finite number.

    A check may compute infinity, and has converged to it.
    """
    for name in () if record.trainer is TrainerName.COMPUTED else record.run.metrics:
        points = record.curves.get(name) or ((record.steps, record.metrics.get(name, 0.0)),)
        yield from (step for step, value in points if not math.isfinite(value))


def _checked(run: Run, stack: Stack) -> Computed:
    import_packages(stack.plugins)
    values = compute(run.config, Path(stack.data_root) if stack.data_root else None)
    return Computed({f"value_{index}": value for index, value in enumerate(values)})


SOURCES: Mapping[TrainerName, Callable[[Run, Stack], Computed]] = {
    TrainerName.COMPUTED: _checked,
    TrainerName.COMMAND: commanded,
    TrainerName.FUNCTION: called,
}
