"""Accuracy from logits, and ensembles from their members' logits. Pure numpy.

Shapes: logits (N, C), members' logits (E, N, C), labels (N,); C = 1 is binary.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ablation_lab.study.run import Combination

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


def predictions(scores: Floats) -> Labels:
    """Return the class of each example: the largest score, or sigmoid(z) > 0.5 where C = 1.

    The sigmoid is computed in float32, as in the decks: near z = 0 it rounds to 0.5, class 0.
    """
    if scores.shape[-1] > 1:
        return np.asarray(scores.argmax(-1), dtype=np.int64)
    return np.asarray(_sigmoid(scores[..., 0]) > 0.5, dtype=np.int64)


def _sigmoid(z: Floats) -> Floats:
    # tanh does not overflow where exp(-z) would.
    half = np.float32(0.5)
    return np.asarray(half + half * np.tanh(half * z.astype(np.float32)), dtype=np.float32)


def accuracy_of(scores: Floats, labels: Labels) -> float:
    """Return the share of rightly classified examples; a row with a NaN is wrong."""
    right = (predictions(scores) == labels) & ~np.isnan(scores).any(-1)
    return float(right.mean())


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
