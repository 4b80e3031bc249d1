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
from experiments.trainers.schedule import filled, total_steps

# Measured on one core of a small cloud machine: per fit, per step, per multiply-add of a forward
# and backward pass.
SECONDS_PER_FIT = 0.1
SECONDS_PER_STEP = 3e-4
SECONDS_PER_MULTIPLY_ADD = 1e-10
# In the fused step of runs innermost: to compile it, and per product of one run.
SECONDS_TO_COMPILE = 8.0
SECONDS_PER_PRODUCT = 5e-10
DENSE = ("linear", "linear_regression", "mlp")
RECURRENT = ("char_rnn", "lstm")
LSTM_GATES = 4
# For families that this file does not know.
UNKNOWN_WEIGHTS = 100_000


def estimate(config: Mapping[str, Any], *, runs: int) -> float:
    """Return about how many seconds ``runs`` runs of equal shape take as one stack on one core."""
    training = Training(**config["training"])
    steps = total_steps(training, filled(training, _examples(config)))
    work = step_work(config) * runs
    return SECONDS_PER_FIT + steps * (SECONDS_PER_STEP + work * SECONDS_PER_MULTIPLY_ADD)


def estimate_innermost(config: Mapping[str, Any], *, runs: int) -> float:
    """Return about how many seconds ``runs`` small runs take with the run axis innermost."""
    steps = total_steps(Training(**config["training"]), _examples(config))
    return SECONDS_TO_COMPILE + steps * runs * step_elements(config) * SECONDS_PER_PRODUCT


def inputs(config: Mapping[str, Any]) -> int:
    """Return how many numbers one example has."""
    return math.prod(DATASETS.get(config["data"]["name"]).shape)


def weights(config: Mapping[str, Any]) -> int:
    """Return the number of weights of a dense or recurrent network, biases excluded."""
    if config["model"]["family"] in RECURRENT:
        return _recurrent(config)[0]
    *hidden, last = [a * b for a, b in pairwise(_ends(config))]
    return _pieces(config) * sum(hidden) + last


def step_work(config: Mapping[str, Any]) -> int:
    """Return the multiply-adds of the forward pass of one step of one run."""
    return multiply_adds(config) * (config["training"]["batch_size"] or _examples(config))


def step_elements(config: Mapping[str, Any]) -> int:
    """Return how many products one full-batch step of one small dense network forms."""
    return _examples(config) * weights(config)


def memory_of_run(config: Mapping[str, Any]) -> int:
    """Return about how many bytes a run takes on an accelerator while it trains.

    Four numbers for each weight (itself, its gradient, two moments) and four for each activation
    of a batch (itself, its gradient, a mask, what the operation in between keeps), float32; and
    its order of the examples, int64, where it has one.
    """
    given = config["training"]["batch_size"]
    batch, order = given or _examples(config), _examples(config) if given else 0
    if config["model"]["family"] == "convnet":
        maps, trained = _convnet_sizes(config)
    elif config["model"]["family"] in RECURRENT:
        trained, maps = _recurrent(config)
    else:
        maps, trained = _pieces(config) * sum(_ends(config)), weights(config)
    return 16 * (trained + batch * maps) + 8 * order


def multiply_adds(config: Mapping[str, Any]) -> int:
    """Return the multiply-adds of one example's forward pass."""
    model = config["model"]
    if model["family"] in DENSE:
        return weights(config)
    if model["family"] in RECURRENT:
        # Every weight takes part in every step of the sequence.
        return weights(config) * DATASETS.get(config["data"]["name"]).shape[0]
    if model["family"] == "convnet":
        return _convnet(config)
    return UNKNOWN_WEIGHTS


def _ends(config: Mapping[str, Any]) -> list[int]:
    # Real numbers have no classes: one output.
    outputs = max(DATASETS.get(config["data"]["name"]).classes, 1)
    return [inputs(config), *config["model"].get("widths", []), outputs]


def _pieces(config: Mapping[str, Any]) -> int:
    return 2 if config["model"].get("activation") == "maxout" else 1


def _examples(config: Mapping[str, Any]) -> int:
    """Return the number of training examples."""
    every = DATASETS.get(config["data"]["name"]).examples
    return min(every, config["data"]["train_size"] or every)


def _recurrent(config: Mapping[str, Any]) -> tuple[int, int]:
    """Return the weights, and the numbers that one example has in all steps of its sequence."""
    dataset, model = DATASETS.get(config["data"]["name"]), config["model"]
    steps, entries = dataset.shape
    if model["family"] == "lstm":
        return LSTM_GATES * (entries + 1), steps * (3 * LSTM_GATES)
    width = model["width"] or dataset.classes
    return (entries + width + dataset.classes) * width, steps * (2 * width + dataset.classes)


def _convnet_sizes(config: Mapping[str, Any]) -> tuple[int, int]:
    """Return the numbers in the maps of one example, and the weights."""
    dataset, model = DATASETS.get(config["data"]["name"]), config["model"]
    depth, height, width = dataset.shape
    maps, trained = depth * height * width, 0
    for channels in model["channels"]:
        trained += depth * channels * model["kernel"] ** 2
        maps += 2 * channels * height * width
        depth, height, width = channels, -(-height // 2), -(-width // 2)
    ends = [depth * height * width, *model["dense"], dataset.classes]
    return maps + sum(ends), trained + _dense(ends)


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
