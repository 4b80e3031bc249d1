"""What a run costs, from its configuration alone, and what an accelerator has room for. Pure.

Sizes are in bytes. The seconds are a rough guide for the preflight line and for the order of work,
never a result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from ablation_lab.data import DATASETS
from ablation_lab.study.networks import size
from ablation_lab.study.run import Training
from ablation_lab.training.schedule import filled, planned, total_steps

# Measured on one core of a small cloud machine: per fit, per step, per multiply-add of a forward
# and backward pass.
SECONDS_PER_FIT = 0.1
SECONDS_PER_STEP = 3e-4
SECONDS_PER_MULTIPLY_ADD = 1e-10
# Measured on an H200 in float32, within a factor of two: per run to build it, per step that is
# captured and replayed, per step that Python starts, and per multiply-add. Of small networks the
# memory is the limit, of convolutions the library.
SECONDS_PER_RUN_ON_A_CARD = 5e-3
SECONDS_PER_REPLAYED_STEP = 3e-4
SECONDS_PER_STARTED_STEP = 2e-3
SECONDS_PER_MULTIPLY_ADD_ON_A_CARD = 7e-13
# To look into the layers of one run once: a forward and a backward pass, and histograms.
SECONDS_PER_LOOK = 7e-3
# In the fused step of runs innermost: to compile it, and per product of one run.
SECONDS_TO_COMPILE = 8.0
SECONDS_PER_PRODUCT = 5e-10
# Where the memory of a card is not known, because it is on another machine. A stack that does not
# fit all the same is halved by its worker.
ASSUMED_BYTES = 8 << 30
# Of its memory, for stacks: the rest is for the data set, the libraries and what falls between.
USED = 0.8


@dataclass(frozen=True)
class Limit:
    """What a worker may take for a stack: seconds, and bytes of memory."""

    seconds: float = inf
    bytes: float = inf


NO_LIMIT = Limit()


def estimate(config: Mapping[str, Any], *, runs: int) -> float:
    """Return about how many seconds ``runs`` runs of equal shape take as one stack on one core."""
    training = Training(**config["training"])
    steps = total_steps(training, filled(training, _examples(config)))
    work = step_work(config) * runs
    trained = SECONDS_PER_FIT + steps * (SECONDS_PER_STEP + work * SECONDS_PER_MULTIPLY_ADD)
    return trained + runs * _looking(config)


def estimate_on_a_card(config: Mapping[str, Any], *, runs: int, replayed: bool) -> float:
    """Return about how many seconds ``runs`` runs of equal shape take a whole card.

    A stack's step is ``replayed``; the kernels of a run that trains by itself start one by one.
    """
    training = Training(**config["training"])
    steps = total_steps(training, filled(training, _examples(config)))
    started = SECONDS_PER_REPLAYED_STEP if replayed else SECONDS_PER_STARTED_STEP
    work = step_work(config) * runs
    step = max(started, work * SECONDS_PER_MULTIPLY_ADD_ON_A_CARD)
    own = runs * (SECONDS_PER_RUN_ON_A_CARD + _looking(config))
    return SECONDS_PER_FIT + own + steps * step


def estimate_innermost(config: Mapping[str, Any], *, runs: int) -> float:
    """Return about how many seconds ``runs`` small runs take with the run axis innermost."""
    steps = total_steps(Training(**config["training"]), _examples(config))
    products = steps * runs * step_elements(config)
    return SECONDS_TO_COMPILE + products * SECONDS_PER_PRODUCT + runs * _looking(config)


def _looking(config: Mapping[str, Any]) -> float:
    """Return the seconds that it takes to look into a run's layers, if it is probed."""
    training = Training(**config["training"])
    if not training.probe:
        return 0.0
    points = sum(chunk.point for chunk in planned(training, _examples(config)))
    return (1 + points) * SECONDS_PER_LOOK


def step_work(config: Mapping[str, Any]) -> int:
    """Return the multiply-adds of the forward pass of one step of one run."""
    return size(config).multiply_adds * (config["training"]["batch_size"] or _examples(config))


def step_elements(config: Mapping[str, Any]) -> int:
    """Return how many products one full-batch step of one small dense network forms."""
    return _examples(config) * size(config).weights


def memory_of_run(config: Mapping[str, Any]) -> int:
    """Return about how many bytes a run takes on an accelerator while it trains.

    Four numbers for each weight (itself, its gradient, two moments) and four for each activation
    of a batch (itself, its gradient, a mask, what the operation in between keeps), float32; and
    its order of the examples, int64, where it has one.
    """
    given = config["training"]["batch_size"]
    batch, order = given or _examples(config), _examples(config) if given else 0
    network = size(config)
    return 16 * (network.weights + batch * network.maps) + 8 * order


def _examples(config: Mapping[str, Any]) -> int:
    """Return the number of training examples."""
    every = DATASETS.get(config["data"]["name"]).examples
    return min(every, config["data"]["train_size"] or every)


@dataclass(frozen=True)
class Accelerators:
    """``workers`` at once, each with ``bytes`` for a stack, which were measured or are assumed.

    ``sharing`` of them use one card.
    """

    workers: int
    bytes: int
    measured: bool
    sharing: int = 1

    @classmethod
    def of(cls, *, workers: int, card: int | None, sharing: int = 1) -> Accelerators:
        """Return those of ``workers`` of which ``sharing`` use a card of ``card`` bytes (or None).

        A card whose memory is not known is taken for a small one.
        """
        whole = ASSUMED_BYTES if card is None else int(USED * card)
        known = card is not None
        return cls(workers=workers, bytes=whole // sharing, measured=known, sharing=sharing)
