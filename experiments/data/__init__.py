"""Data sets that only the lectures have: their points, lines, texts, CSV files, and variants.

Comes in: nothing. Goes out: the data sets, registered.
"""

from experiments.data import images, tables, toys

__all__ = ["images", "tables", "toys"]
