"""Not converged: the rules of one run, fixed before any run.

A run is not converged if a loss or parameter is not finite, or at the end the training loss exceeds
0.98·ln C, or the test accuracy is at most five points above chance. The first rule that fires is
stored with its step. For a binary problem C = 2 and chance is 1/2.
"""

from __future__ import annotations

import math

from ablation_lab.study.record import NoConvergence

LOSS_SHARE = 0.98
ACCURACY_MARGIN = 0.05


def chance(classes: int) -> float:
    """Accuracy of guessing among ``classes`` (1 means binary)."""
    return 1.0 / max(classes, 2)


def no_convergence(
    *, finite: bool, train_loss: float | None, accuracy: float | None, classes: int
) -> NoConvergence:
    """Return the first rule that fires, or ``NoConvergence.NONE``.

    ``train_loss`` is None where nobody knows it (an ensemble, a module that does not tell),
    ``accuracy`` where the task has none (a regression): there only the first rule applies.
    """
    if not finite or (train_loss is not None and not math.isfinite(train_loss)):
        return NoConvergence.NON_FINITE
    if accuracy is None:
        return NoConvergence.NONE
    if train_loss is not None and train_loss > LOSS_SHARE * math.log(max(classes, 2)):
        return NoConvergence.LOSS_AT_CHANCE
    if accuracy <= chance(classes) + ACCURACY_MARGIN:
        return NoConvergence.ACCURACY_AT_CHANCE
    return NoConvergence.NONE
