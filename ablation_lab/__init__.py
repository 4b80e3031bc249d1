"""Ablation Lab: declare a study, train every cell, track every run, print the paper.

The way of the data is one direction: ``study`` (what is declared: grid, runs, keys) -> ``runner``
(what is missing) -> ``engines`` (where) -> ``training`` (a worker's job) -> ``store`` (MLflow) ->
``statistics`` and ``report``. Importing the package costs nothing: its names are loaded when they
are first used::

    from ablation_lab import figure, load_study, table
    frame = load_study("xor_depth", profile="quick", store="sqlite:///runs/mlflow.db")
    table(frame)
    figure(frame)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ablation_lab.report.notebook import STORE, figure, load_study, load_table, table
    from ablation_lab.study.metric import metric

__all__ = ["STORE", "figure", "load_study", "load_table", "metric", "table"]

_PLACES = {
    **dict.fromkeys(
        ("STORE", "figure", "load_study", "load_table", "table"), "ablation_lab.report.notebook"
    ),
    "metric": "ablation_lab.study.metric",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {__all__}")
    return getattr(import_module(_PLACES[name]), name)
