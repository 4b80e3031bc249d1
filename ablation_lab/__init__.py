"""Ablation Lab: declare a study, train every cell, track every run, print the paper.

The way of the data is one direction: ``study`` (what is declared: grid, runs, keys) -> ``runner``
(what is missing) -> ``engines`` (where) -> ``training`` (a worker's job) -> ``store`` (MLflow) ->
``statistics`` and ``report``. Importing the package costs nothing: its names are loaded when they
are first used::

    from ablation_lab import Study
    study = Study.load("demo", profile="quick", store="sqlite:///runs/mlflow.db")
    study.table()
    study.figure()

What a study can name is registered by decorators, in a plug-in of one's own; the keyword arguments
of what they decorate are its settings::

    from ablation_lab import family, initializer, optimizer

    @optimizer("sign")
    def sign(parameters, *, learning_rate: float): ...
"""

from __future__ import annotations

from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ablation_lab.data import DATASETS
    from ablation_lab.notebook import STORE, Study, across
    from ablation_lab.service.client import Server
    from ablation_lab.study.metric import CHECKS, metric
    from lightning_modules.registry import (
        ACTIVATIONS,
        FAMILIES,
        INITIALIZERS,
        OPTIMIZERS,
        REDUCTIONS,
        SCHEDULERS,
    )

    activation = ACTIVATIONS.register
    check = CHECKS.register
    dataset = DATASETS.register
    family = FAMILIES.register
    initializer = INITIALIZERS.register
    optimizer = OPTIMIZERS.register
    reduction = REDUCTIONS.register
    scheduler = SCHEDULERS.register

__all__ = [
    "STORE",
    "Server",
    "Study",
    "across",
    "activation",
    "check",
    "dataset",
    "family",
    "initializer",
    "metric",
    "optimizer",
    "reduction",
    "scheduler",
]

# Public name -> the module that has it, and what it is there.
_PLACES = {
    **{name: ("ablation_lab.notebook", name) for name in ("STORE", "Study", "across")},
    "Server": ("ablation_lab.service.client", "Server"),
    "activation": ("lightning_modules.registry", "ACTIVATIONS.register"),
    "check": ("ablation_lab.study.metric", "CHECKS.register"),
    "dataset": ("ablation_lab.data", "DATASETS.register"),
    "family": ("lightning_modules.registry", "FAMILIES.register"),
    "initializer": ("lightning_modules.registry", "INITIALIZERS.register"),
    "metric": ("ablation_lab.study.metric", "metric"),
    "optimizer": ("lightning_modules.registry", "OPTIMIZERS.register"),
    "reduction": ("lightning_modules.registry", "REDUCTIONS.register"),
    "scheduler": ("lightning_modules.registry", "SCHEDULERS.register"),
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {__all__}")
    module, inside = _PLACES[name]
    return attrgetter(inside)(import_module(module))


def __dir__() -> list[str]:
    """Name what is public."""
    return __all__
