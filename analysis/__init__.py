"""From tracked runs to tables, figures and reports.

In: a tracking store. Out: a report folder, or tidy tables for notebooks. Nothing here trains, and
importing the package costs nothing: the three names below load what they need when first used.

    from analysis import figure, load_study, table
    frame = load_study("xor_depth", profile="quick", store="sqlite:///runs/mlflow.db")
    table(frame)
    figure(frame)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.notebook import figure, load_study, table

__all__ = ["figure", "load_study", "table"]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}; it has {__all__}")
    from analysis import notebook

    return getattr(notebook, name)
