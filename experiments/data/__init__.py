"""Data sets that only the lectures have: their points, lines, texts, CSV files, and variants.

Comes in: nothing. Goes out: the data sets, registered with ``ablation_lab.data.DATASETS``.
"""

from experiments.data import (
    admission,
    cifar_variants,
    lectures,
    mnist_variants,
    regressions,
    toys,
)

__all__ = ["admission", "cifar_variants", "lectures", "mnist_variants", "regressions", "toys"]
