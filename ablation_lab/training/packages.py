"""Packages of a user's own, imported alike in every process.

Comes in: their names. Goes out: nothing; what they register is registered.
"""

from __future__ import annotations

import importlib
import random
import sys
from collections.abc import Iterable

import numpy as np


def import_packages(names: Iterable[str]) -> None:
    """Import packages, from the same seeds wherever that is.

    What one draws as it is imported would otherwise be another on each worker; torch starts from
    the same seed by itself.
    Errors: whatever a package raises.
    """
    for name in (each for each in names if each not in sys.modules):
        random.seed(0)
        np.random.seed(0)
        importlib.import_module(name)
