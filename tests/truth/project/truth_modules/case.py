"""The register of cases: a module, the data that it is trained on, and the settings of its fit."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytorch_lightning as pl

Module = TypeVar("Module", bound=type[pl.LightningModule])


@dataclass(frozen=True)
class Case:
    """What is trained, on what, and how.

    ``source`` is a data module that takes the place of the arrays; ``trainer`` are arguments of
    ``pl.Trainer``; ``metric`` is the value that runs are compared by; ``theme`` is the file that
    the module stands in; ``about`` says in a line what of Lightning it uses, as the table of the
    documentation has it. ``refusal`` is what the lab says where it does not train it.
    """

    name: str
    module: type[pl.LightningModule]
    theme: str
    about: str
    data: str = "points"
    epochs: int | None = 3
    steps: int | None = None
    batch_size: int = 8
    learning_rate: float = 0.1
    drop_last: bool = True
    source: type[pl.LightningDataModule] | None = None
    trainer: Mapping[str, Any] = field(default_factory=dict)
    metric: str = "test_accuracy"
    refusal: str = ""


CASES: dict[str, Case] = {}
REFUSED: dict[str, Case] = {}


def case(**settings: Any) -> Callable[[Module], Module]:
    """Register a module under its own name in small letters, trained with these settings."""

    def keep(module: Module) -> Module:
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", module.__name__).lower()
        theme = module.__module__.rpartition(".")[2]
        about = (module.__doc__ or "").strip().partition("\n")[0].rstrip(".")
        module.case = name  # type: ignore[attr-defined]
        made = Case(name, module, theme, about, **settings)
        (REFUSED if made.refusal else CASES)[name] = made
        return module

    return keep
