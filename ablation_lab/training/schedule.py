"""When a run takes its steps, and when it writes a point of its curves. Pure, without torch.

The remainder of an epoch that does not fill a batch is dropped, unless the recipe
keeps it: then an epoch has as many steps as if its last batch were full.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ablation_lab.study.run import Training

EPOCH_POINTS = 30
STEP_POINTS = 12
CHUNK_STEPS = 1024


@dataclass(frozen=True)
class Chunk:
    """Consecutive steps, the unit of one ``training_step``; ``point`` writes a curve point after.

    ``window`` is the number of steps over which that point averages the training loss.
    """

    first: int
    steps: int
    point: bool
    window: int


def steps_per_epoch(examples: int, batch_size: int | None) -> int:
    """Return ``int(examples / batch)``; a full batch is one step."""
    return 1 if batch_size is None else max(1, examples // min(batch_size, examples))


def total_steps(training: Training, examples: int) -> int:
    """Return the number of updates of a whole run."""
    if training.steps is not None:
        return training.steps
    assert training.epochs is not None
    return training.epochs * steps_per_epoch(examples, training.batch_size)


def filled(training: Training, examples: int) -> int:
    """Return how many examples full batches would hold, where a recipe keeps the remainder.

    Else the examples as they are.
    """
    if training.drop_last or training.batch_size is None:
        return examples
    return math.ceil(examples / training.batch_size) * training.batch_size


def chunks(training: Training, examples: int) -> list[Chunk]:
    """Cut a run into chunks: at every epoch (or ≤ 30 of them), or at ≤ 12 log-spaced steps."""
    epoch = steps_per_epoch(examples, training.batch_size)
    total = total_steps(training, examples)
    if training.epochs is None:
        points = log_spaced(total, STEP_POINTS)
        window = min(epoch, total)
    else:
        points = [n * epoch for n in log_spaced(training.epochs, EPOCH_POINTS)]
        window = epoch
    return list(_cut(points, window))


def planned(training: Training, examples: int) -> list[Chunk]:
    """Cut a run into chunks as ``chunks`` does, and at the points that its recipe names besides.

    Of these, those beyond the last step are left out.
    """
    usual = chunks(training, filled(training, examples))
    if not training.points:
        return usual
    ends = {chunk.first + chunk.steps for chunk in usual if chunk.point}
    named = {point for point in training.points if point < max(ends)}
    return list(_cut(sorted(ends | named), usual[0].window))


def log_spaced(last: int, count: int) -> list[int]:
    """Return at most ``count`` whole numbers from 1 to ``last``, log-spaced, both ends included.

    All of them where there are no more than ``count``.
    """
    if last <= count:
        return list(range(1, last + 1))
    return sorted({round(math.exp(math.log(last) * i / (count - 1))) for i in range(count)})


def _cut(points: list[int], window: int) -> Iterator[Chunk]:
    """Yield chunks that end at every point; none is longer than it must be to hold a window."""
    first = 0
    longest = max(CHUNK_STEPS, window)
    for point in points:
        # The last chunk before a point holds the whole window over which its loss averages.
        while point - first > longest:
            steps = min(CHUNK_STEPS, point - first - window)
            yield Chunk(first=first, steps=max(1, steps), point=False, window=window)
            first += max(1, steps)
        yield Chunk(first=first, steps=point - first, point=True, window=window)
        first = point
