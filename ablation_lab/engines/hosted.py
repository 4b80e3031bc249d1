"""Jobs within a Ray actor or a Slurm job: carried out by a process that is watched there.

What holds on this machine holds there: a job that hangs, or takes more than its limit, is ended
with all that it started, a process that dies is replaced, and its job tried once more.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Self, TypeVar

from ablation_lab.engines.local import LocalEngine
from ablation_lab.engines.worker import Outcome
from ablation_lab.training.cost import Limit

Job = TypeVar("Job")
Result = TypeVar("Result")


class Host:
    """A process with so many threads, and with the devices that its host was given."""

    def __init__(self, threads: int) -> None:
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        self._engine = LocalEngine(workers=1, threads=threads, devices=(seen,) if seen else ())

    def attempt(self, function: Callable[[Job], Result], job: Job, limit: Limit) -> Outcome[Result]:
        """Carry out one job."""
        ((done,),) = self._engine.map_together(function, [job], limit=lambda _: limit)
        return Outcome(done.result, done.error, done.traceback)

    def __enter__(self) -> Self:
        """Return the host itself."""
        return self

    def __exit__(self, *raised: Any) -> None:
        """Let the process go; end it where its host is asked to end."""
        self._engine.__exit__(*raised)
