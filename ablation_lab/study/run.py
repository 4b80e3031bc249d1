"""What is to be run: a run, its training settings, and the stack in which it trains. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from typing import Any

BEST_ON_VALIDATION = "best_on_validation"


class TrainerName(StrEnum):
    """Who produced a run's result."""

    SINGLE = "single"
    STACKED = "stacked"
    PROBED = "probed"
    ENSEMBLE = "ensemble"
    COMPUTED = "computed"


@dataclass(frozen=True)
class Training:
    """How long and on what cost a run trains; ``batch_size`` None is the full batch.

    ``shuffle`` false keeps the examples in the order in which they are stored, in every epoch.
    ``drop_last`` false trains on the examples that do not fill a last batch of an epoch too.
    ``selection`` "best_on_validation" gives back the state of the best point of the validation
    curve, None the last state.
    ``points`` are updates after which the curves get a point besides the usual ones.
    ``patience`` stops after that many points of the validation curve without a better one, and
    gives back the best state; ``lr_milestones`` are the steps at which the learning rate is
    divided by 10. ``precision`` "tf32" or "bf16" computes products in fewer bits, None in float32.
    ``probe`` keeps what reaches each layer at every point of the curves, and changes no result.
    ``trainer`` are further arguments of the ``pl.Trainer`` that fits the module, batch by batch.
    ``predict_at`` are points whose answers become metrics of the run, ``metrics`` the names of
    registered functions that its study measures by.
    """

    epochs: int | None
    steps: int | None
    batch_size: int | None
    loss: str
    l2: float
    shuffle: bool = True
    drop_last: bool = True
    points: tuple[int, ...] | None = None
    patience: int | None = None
    lr_milestones: tuple[int, ...] | None = None
    selection: str | None = None
    precision: str | None = None
    probe: bool = False
    predict_at: tuple[tuple[float, ...], ...] | None = None
    metrics: tuple[str, ...] | None = None
    trainer: Mapping[str, Any] | None = None

    @property
    def chosen(self) -> dict[str, Any]:
        """The settings that have a default and are not it."""
        values = {each.name: (getattr(self, each.name), each.default) for each in fields(self)}
        return {
            name: value
            for name, (value, default) in values.items()
            if default is not MISSING and value != default
        }


class Combination(StrEnum):
    """How an ensemble combines its members' outputs of shape (members, N, C)."""

    SUM_LOGITS = "sum_logits"
    MEAN_PROBABILITY = "mean_probability"
    VOTE = "vote"


@dataclass(frozen=True)
class Run:
    """Cell × replicate: the unit that trains, is tracked, and is never done twice.

    ``config`` is the resolved configuration (sections model, data, optimizer, training, and
    ensemble where it applies; or check, and data where it reads some); ``key`` is the hash of
    everything that determines the result.
    ``tuned`` says which levels tuning chose for the cell and what it could spend.
    """

    study: str
    profile: str
    cell: str
    replicate: int
    key: str
    seed: int
    config: Mapping[str, Any]
    factors: Mapping[str, str]
    keep_logits: bool = False
    tuned: Mapping[str, Any] = field(default_factory=dict)
    members: tuple[str, ...] = ()

    @property
    def is_check(self) -> bool:
        """Whether the run computes a number instead of training."""
        return "check" in self.config

    @property
    def is_ensemble(self) -> bool:
        """Whether the run combines other runs instead of training."""
        return bool(self.members)


@dataclass(frozen=True)
class Stack:
    """Runs of equal shape that one worker trains together, and why.

    ``data_root`` is where the worker looks for data files, ``plugins`` the packages that it
    imports first, ``devices`` the number that a run by itself is spread over.
    """

    runs: tuple[Run, ...]
    trainer: TrainerName
    reason: str
    data_root: str | None = None
    plugins: tuple[str, ...] = ()
    devices: int = 1
