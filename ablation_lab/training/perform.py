"""What a worker does with a stack: train its runs, or compute its checks.

It stands apart from ``execute``, so that no check is part of the fingerprint of a trained run.
"""

from __future__ import annotations

import importlib
import time
import traceback
from pathlib import Path

from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.training.execute import execute


def perform(stack: Stack) -> list[Record]:
    """Return the records of the stack's runs, in order; a run that raises is a failed record."""
    if stack.trainer is not TrainerName.COMPUTED:
        return execute(stack)
    for name in stack.plugins:
        importlib.import_module(name)
    return [_computed(run, stack) for run in stack.runs]


def _computed(run: Run, stack: Stack) -> Record:
    from ablation_lab.study.checks import compute

    started = time.time()
    root = Path(stack.data_root) if stack.data_root else None
    try:
        values = compute(run.config, root)
    except Exception as error:  # a check that raises is a result of its own
        return Record(
            run=run,
            status=Status.FAILED,
            trainer=stack.trainer,
            seconds=time.time() - started,
            started=started,
            reason=f"{type(error).__name__}: {error}".splitlines()[0],
            error="".join(traceback.format_exception(error)),
        )
    return Record(
        run=run,
        status=Status.FINISHED,
        trainer=stack.trainer,
        metrics={f"value_{index}": value for index, value in enumerate(values)},
        seconds=time.time() - started,
        started=started,
        reason=stack.reason,
    )
