"""Ensembles: a run that trains nothing and combines the stored logits of its members."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ablation_lab.data import DATASETS, Part, load
from ablation_lab.study.record import Record, Status, no_convergence
from ablation_lab.study.run import Combination, Run, TrainerName
from ablation_lab.training.fault import RAISED, described, traced
from ablation_lab.training.scoring import Floats, accuracy_of, predictions, registered


class StoredLogits(Protocol):
    """Where members' logits lie: MLflow run id → (N, C)."""

    def logits(self, run_id: str) -> NDArray[np.float32]:
        """Return the stored test logits of a run."""


def combine_members(
    run: Run, stored: Mapping[str, str], store: StoredLogits, data_root: str | None
) -> Record:
    """Return the record of one ensemble; ``stored`` maps a member's key to its MLflow run.

    A missing member, or one whose logits are not finite, makes the ensemble a failed run that says
    so.
    """
    started = time.time()
    try:
        missing = [key for key in run.members if key not in stored]
        if missing:
            raise ValueError(f"{len(missing)} of {len(run.members)} members have no finished run")
        logits = np.stack([store.logits(stored[key]) for key in run.members])
        return _score(run, logits, data_root, started)
    except RAISED as error:  # a run that raises is a result of its own
        return Record(
            run=run,
            status=Status.FAILED,
            trainer=TrainerName.ENSEMBLE,
            started=started,
            seconds=time.time() - started,
            reason=described(error, run.config, ()),
            error=traced(error),
        )


def _score(run: Run, logits: NDArray[np.float32], data_root: str | None, started: float) -> Record:
    data = run.config["data"]
    test = _test_part(data["name"], data_root)
    rule = Combination(run.config["ensemble"]["rule"])
    scores = combine(logits, rule)
    accuracy = accuracy_of(scores, test.y)
    return Record(
        run=run,
        status=Status.FINISHED,
        trainer=TrainerName.ENSEMBLE,
        metrics={
            "test_accuracy": accuracy,
            "member_accuracy": float(np.mean([accuracy_of(one, test.y) for one in logits])),
            **registered(run.config["training"].get("metrics") or (), scores, test.y),
        },
        not_converged=no_convergence(
            finite=bool(np.isfinite(logits).all()),
            train_loss=None,
            accuracy=accuracy,
            classes=DATASETS.get(data["name"]).classes,
        ),
        started=started,
        seconds=time.time() - started,
        reason=f"combines {len(logits)} members",
        provenance={"members": " ".join(run.members)},
    )


@lru_cache(maxsize=1)
def _test_part(name: str, root: str | None) -> Part:
    return load(name, Path(root) if root else None)[1]


def combine(logits: Floats, rule: Combination) -> Floats:
    """Combine members (E, N, C) into scores (N, C).

    ``sum_logits`` adds logits; ``mean_probability`` averages softmax outputs; ``vote`` counts the
    members' classes, with ties broken by the mean probability.
    """
    if logits.ndim != 3 or logits.shape[-1] < 2:
        raise ValueError(f"logits: expected shape (members, N, C >= 2), found {logits.shape}")
    probabilities = _softmax(logits)
    mean: Floats = probabilities.mean(0)
    match rule:
        case Combination.SUM_LOGITS:
            total: Floats = logits.sum(0)
            return total
        case Combination.MEAN_PROBABILITY:
            return mean
        case Combination.VOTE:
            classes = np.arange(logits.shape[-1])
            votes = (predictions(logits)[..., None] == classes).sum(0)
            # A mean probability is below 1, so it orders ties and never outvotes a member.
            return np.asarray(votes + 0.5 * mean, dtype=np.float32)


def _softmax(logits: Floats) -> Floats:
    # Infinite logits give NaN, which counts as wrong; they are no reason to warn.
    with np.errstate(invalid="ignore"):
        shifted: Floats = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities: Floats = shifted / shifted.sum(-1, keepdims=True)
    return probabilities
