"""Computed checks: the decks' deterministic numbers, each computed by a small function.

Comes in: the name of a check and, for facts about data, a data folder. Goes out: numbers. A check
never looks at what is printed: the ledger holds that, and the analysis compares. A check of one's
own: a function in one's own package, decorated with ``@CHECKS.register("my_check")``.
"""

from experiments.checks import (
    architectures,
    classical,
    convolution,
    counts,
    cross_entropy,
    data_facts,
    detection,
    gates,
    gradients,
    recipes,
    sequences,
    statements,
    tensors,
)

__all__ = [
    "architectures",
    "classical",
    "convolution",
    "counts",
    "cross_entropy",
    "data_facts",
    "detection",
    "gates",
    "gradients",
    "recipes",
    "sequences",
    "statements",
    "tensors",
]
