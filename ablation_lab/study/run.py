"""What is to be run: a run, its training settings, and the stack in which it trains. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from ablation_lab.study.reading import Count, Flag, Number, Problem, Written, refuse
from ablation_lab.study.signatures import trainer_problems

BEST_ON_VALIDATION = "best_on_validation"
# Settings that every configuration shows; the others only where they are not the default.
SHOWN = ("epochs", "steps", "batch_size", "loss", "l2")


class TrainerName(StrEnum):
    """Who produced a run's result."""

    SINGLE = "single"
    STACKED = "stacked"
    ENSEMBLE = "ensemble"
    COMPUTED = "computed"
    COMMAND = "command"
    FUNCTION = "function"
    IMPORTED = "imported"


Entry = TypeVar("Entry")


def _some(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    if not entries:
        raise ValueError("expected a list that is not empty, found []")
    return entries


def _rising(steps: tuple[int, ...]) -> tuple[int, ...]:
    if not steps or list(steps) != sorted(steps):
        raise ValueError(f"expected a rising list of positive integers, found {list(steps)}")
    return steps


Steps = Annotated[tuple[Count, ...], AfterValidator(_rising)]
Point = Annotated[tuple[Annotated[Number, Field(allow_inf_nan=False)], ...], AfterValidator(_some)]


class Training(Written):
    """How long and on what cost a run trains."""

    section: ClassVar[str] = "training"
    derived: ClassVar[tuple[str, ...]] = ("metrics",)

    epochs: Count | None = Field(None, description="Passes over the data; or 'steps'.")
    steps: Count | None = Field(None, description="Updates; or 'epochs'.")
    batch_size: Count | None = Field(None, description="Examples of a step; null: all of them.")
    loss: Literal["stable", "unclipped"] = Field(
        "stable", description="Cross-entropy from logits, or by the formula, whose NaN stays."
    )
    l2: Annotated[Number, Field(ge=0, allow_inf_nan=False)] = Field(
        0.0, description="The factor of the weights' squares in the objective."
    )
    shuffle: Flag = Field(True, description="Whether every epoch has an order of its own.")
    drop_last: Flag = Field(
        True, description="Whether what fills no last batch of an epoch is left out."
    )
    points: Steps | None = Field(
        None, description="Updates after which curves get a point besides the usual ones."
    )
    patience: Count | None = Field(
        None,
        description="Stops after so many points of the validation curve without a better one.",
    )
    lr_milestones: Steps | None = Field(
        None, description="Steps at which the learning rate is divided by 10."
    )
    selection: Literal["best_on_validation"] | None = Field(
        None, description="The state that counts: the best on validation; null: the last one."
    )
    precision: Literal["tf32", "bf16"] | None = Field(
        None, description="Fewer bits in products; null: float32."
    )
    probe: Flag = Field(
        False, description="Whether what reaches each layer is kept; changes no result."
    )
    keep_hits: Flag = Field(
        False,
        description="Whether it is kept which test examples are right, a bit each; changes no "
        "result.",
    )
    predict_at: Annotated[tuple[Point, ...], AfterValidator(_some)] | None = Field(
        None, description="Points whose answers become metrics."
    )
    trainer: dict[str, Any] | None = Field(
        None, description="Further arguments of the pl.Trainer that fits a module batch by batch."
    )
    # The names of registered functions that the study measures by.
    metrics: SkipJsonSchema[tuple[str, ...] | None] = None

    @property
    def chosen(self) -> dict[str, Any]:
        """The settings that are not the default."""
        return self.model_dump(exclude_defaults=True)

    @property
    def resolved(self) -> dict[str, Any]:
        """What stands in the configuration of a run."""
        return {name: getattr(self, name) for name in SHOWN} | self.chosen

    @field_validator("trainer")
    @classmethod
    def _of_a_trainer(
        cls, given: dict[str, Any] | None, info: ValidationInfo
    ) -> dict[str, Any] | None:
        if given and info.context is not None:
            refuse(trainer_problems(given))
        return given or None

    @model_validator(mode="after")
    def _consistent(self) -> Training:
        refuse((*self._unending(), *self._without_points(), *self._without_whole_epochs()))
        return self

    def _unending(self) -> Iterator[Problem]:
        if (self.epochs is None) == (self.steps is None):
            found = f"epochs={self.epochs} and steps={self.steps}"
            yield (), f"expected either 'epochs' or 'steps', found {found}"

    def _without_points(self) -> Iterator[Problem]:
        if self.points and (self.steps is None or self.probe):
            found = f"steps={self.steps} and probe={self.probe}"
            yield ("points",), f"expected 'steps', and no 'probe', beside them, found {found}"

    def _without_whole_epochs(self) -> Iterator[Problem]:
        """Yield why the last batch of an epoch cannot be kept: there is none, or nobody would."""
        needs = {
            "batch_size": (self.batch_size is not None, "a number of examples"),
            "epochs": (self.epochs is not None, "a number of them instead of steps"),
            "shuffle": (self.shuffle, "true"),
            "probe": (not self.probe, "false"),
        }
        for name, (fits, needed) in needs.items():
            if not (self.drop_last or fits):
                found = getattr(self, name)
                yield (name,), f"drop_last false needs {needed}, found {found!r}"


class Combination(StrEnum):
    """How an ensemble combines its members' outputs of shape (members, N, C)."""

    SUM_LOGITS = "sum_logits"
    MEAN_PROBABILITY = "mean_probability"
    VOTE = "vote"


class Ensemble(Written):
    """How many runs an ensemble combines, and how."""

    size: Count = Field(1, description="Runs that are combined.")
    rule: Combination = Field(Combination.SUM_LOGITS, description="How their outputs are.")


class Check(Written):
    """The check that a run computes instead of training."""

    name: str = Field(description="The name of a registered check.")


@dataclass(frozen=True)
class Run:
    """Cell × replicate: the unit that trains, is tracked, and is never done twice.

    ``config`` is the resolved configuration (sections model, data, optimizer, training, and
    ensemble where it applies; or command, params and limits; or model and limits, where the family
    is a function; or check, and data where it reads some); ``key`` is the hash of everything that
    determines the result.
    ``metrics`` are the names of what its study measures by.
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
    metrics: tuple[str, ...] = ()

    @property
    def trains(self) -> bool:
        """Whether the lab trains a network for it; a check, command or function gives values."""
        return "training" in self.config

    @property
    def probed(self) -> bool:
        """Whether its layers are looked at while it trains."""
        return self.trains and bool(self.config["training"].get("probe"))

    @property
    def is_ensemble(self) -> bool:
        """Whether the run combines other runs instead of training."""
        return bool(self.members)


@dataclass(frozen=True)
class Stack:
    """Runs of equal shape that one worker trains together, and why.

    ``data_root`` is where the worker looks for data files, ``plugins`` the packages that it
    imports first, ``devices`` the number that a run by itself is spread over, ``project`` the
    folder in which commands start.
    """

    runs: tuple[Run, ...]
    trainer: TrainerName
    reason: str
    data_root: str | None = None
    plugins: tuple[str, ...] = ()
    devices: int = 1
    project: str = ""


class Role(StrEnum):
    """What a stream of random numbers is for."""

    SPLIT = "split"
    INIT = "init"
    ORDER = "order"
    DROPOUT = "dropout"


def stream(seed: int, role: Role, replicate: int) -> int:
    """Return the seed of one stream, an integer in [0, 2^63).

    ``sha256(study seed, role, replicate)``, never arithmetic: replicate r of every cell shares its
    data order and, where shapes agree, its initial draw, so that comparisons between cells are
    paired. Seed 0 is a seed like any other.
    """
    text = f"ablation-lab/{seed}/{role.value}/{replicate}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
