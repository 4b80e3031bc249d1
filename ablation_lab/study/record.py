"""What a run leaves behind: status, metrics, curves, convergence, provenance. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from ablation_lab.study.run import Run, TrainerName

NOT_RUN = "not run"  # the reason of a declared run that the store does not know

Curve = tuple[tuple[int, float], ...]


class Status(StrEnum):
    """What became of a declared run; of the last two, which only a frame has, nothing was run."""

    FINISHED = "finished"
    FAILED = "failed"
    SKIPPED = "skipped"
    MISSING = "missing"


class NoConvergence(StrEnum):
    """Why a run counts as not converged; the rules are fixed before any run."""

    NONE = ""
    NON_FINITE = "non_finite"
    LOSS_AT_CHANCE = "loss_at_chance"
    ACCURACY_AT_CHANCE = "accuracy_at_chance"


@dataclass(frozen=True)
class Record:
    """Everything that a run leaves: final metrics, curves, status, provenance.

    ``logits`` has shape (N, C) for the N test examples; it is kept only for ensemble members.
    ``images`` (N, channels, H, W) in [0, 1] are what a generative module makes; ``probed`` is
    the text of a probed run's layers. ``fits`` is false for a run that failed because its device
    has no room for it, which is the user's to mend.
    """

    run: Run
    status: Status
    trainer: TrainerName
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    not_converged: NoConvergence = NoConvergence.NONE
    not_converged_step: int | None = None
    steps: int = 0
    seconds: float = 0.0
    started: float = 0.0
    reason: str = ""
    error: str = ""
    fits: bool = True
    provenance: Mapping[str, str] = field(default_factory=dict)
    logits: np.ndarray | None = None
    images: np.ndarray | None = None
    probed: str = ""
