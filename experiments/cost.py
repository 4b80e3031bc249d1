"""What a run costs, from its configuration alone: weights, multiply-adds, seconds. Pure.

The seconds are a rough guide for the preflight line and for the order of work, never a result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from experiments.data import DATASETS
from experiments.run import Training
from experiments.trainers.schedule import total_steps

# Measured on one core of a small cloud machine: per fit, per step, per multiply-add of a forward
# and backward pass.
SECONDS_PER_FIT = 0.1
SECONDS_PER_STEP = 3e-4
SECONDS_PER_MULTIPLY_ADD = 1e-10
# For families that this file does not know.
UNKNOWN_WEIGHTS = 100_000


def estimate(config: Mapping[str, Any], *, runs: int) -> float:
    """Return about how many seconds ``runs`` runs of equal shape take as one stack on one core."""
    examples = DATASETS.get(config["data"]["name"]).examples
    training = Training(**config["training"])
    batch = training.batch_size or examples
    work = multiply_adds(config) * batch * runs
    steps = total_steps(training, examples)
    return SECONDS_PER_FIT + steps * (SECONDS_PER_STEP + work * SECONDS_PER_MULTIPLY_ADD)


def weights(config: Mapping[str, Any]) -> int:
    """Return the number of weights of a dense network, biases excluded."""
    dataset = DATASETS.get(config["data"]["name"])
    return _dense([math.prod(dataset.shape), *config["model"].get("widths", []), dataset.classes])


def multiply_adds(config: Mapping[str, Any]) -> int:
    """Return the multiply-adds of one example's forward pass."""
    model = config["model"]
    if model["family"] in ("linear", "mlp"):
        return weights(config)
    if model["family"] == "convnet":
        return _convnet(config)
    return UNKNOWN_WEIGHTS


def _dense(ends: list[int]) -> int:
    return sum(a * b for a, b in pairwise(ends))


def _convnet(config: Mapping[str, Any]) -> int:
    dataset = DATASETS.get(config["data"]["name"])
    depth, height, width = dataset.shape
    total = 0
    for channels in config["model"]["channels"]:
        total += height * width * depth * channels * config["model"]["kernel"] ** 2
        depth, height, width = channels, -(-height // 2), -(-width // 2)
    ends = [depth * height * width, *config["model"]["dense"], dataset.classes]
    return total + _dense(ends)
