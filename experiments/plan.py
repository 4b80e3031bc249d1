"""The plan: which runs train together as a stack, which alone, and why. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from experiments.cost import estimate, weights
from experiments.run import Run, Stack, TrainerName

# At this size a stack's working set of the lectures' small nets still lies in a core's cache.
LARGEST_STACK = 1024
# Above this many weights matrix products dominate, and a stack gains nothing on a CPU.
LARGEST_NETWORK = 4096
STACKED_FAMILIES = ("linear", "mlp")


def plan(runs: Iterable[Run], *, data_root: str | None, plugins: tuple[str, ...]) -> list[Stack]:
    """Group training runs to stacks: stacked ones first, then the others in the given order."""
    groups: dict[str, list[Run]] = {}
    alone: list[tuple[Run, str]] = []
    for run in runs:
        obstacle = why_alone(run.config)
        if obstacle:
            alone.append((run, obstacle))
        else:
            groups.setdefault(shape(run), []).append(run)
    stacks = []
    for group in groups.values():
        reason = f"{len(group)} small full-batch runs of equal shape"
        for part in _even_parts(group, LARGEST_STACK):
            stacks.append(Stack(part, TrainerName.STACKED, reason, data_root, plugins))
    # Long ones first, so that no worker is left with one at the end.
    stacks.sort(key=estimated, reverse=True)
    return stacks + [
        Stack((run,), TrainerName.SOLO, obstacle, data_root, plugins) for run, obstacle in alone
    ]


def estimated(stack: Stack) -> float:
    """Return about how many seconds a stack takes on one core."""
    return estimate(stack.runs[0].config, runs=len(stack.runs))


def why_alone(config: Mapping[str, Any]) -> str:
    """Say what keeps a run out of a stack; empty if nothing does."""
    model, optimizer = config["model"], config["optimizer"]
    obstacles = {
        f"family {model['family']} does not stack": model["family"] not in STACKED_FAMILIES,
        "mini-batches: matrix products dominate, a stack gains nothing on a CPU": (
            config["training"]["batch_size"] is not None
        ),
        f"optimiser {optimizer['name']} with state does not stack": (
            optimizer["name"] != "sgd" or bool(optimizer["momentum"])
        ),
        "early stopping and falling rates do not stack": bool(
            config["training"].get("patience") or config["training"].get("divide_rate_at")
        ),
        "dropout does not stack": model.get("keep_prob", 1.0) != 1.0,
        "LSUV looks at the first batch, run by run": model.get("init") == "lsuv",
        f"more than {LARGEST_NETWORK} weights: matrix products dominate": (
            weights(config) > LARGEST_NETWORK
        ),
    }
    return next((reason for reason, holds in obstacles.items() if holds), "")


def shape(run: Run) -> str:
    """Return what the runs of a stack have in common: all but initialisation and rate."""
    common: dict[str, Any] = {name: dict(section) for name, section in run.config.items()}
    for name in ("init", "bias_init"):
        common["model"].pop(name, None)
    common["optimizer"].pop("learning_rate")
    return json.dumps(common, sort_keys=True)


def _even_parts(runs: list[Run], largest: int) -> list[tuple[Run, ...]]:
    """Cut runs into as few parts as possible, of equal size but for the last."""
    parts = math.ceil(len(runs) / largest)
    size = math.ceil(len(runs) / parts)
    return [tuple(runs[first : first + size]) for first in range(0, len(runs), size)]
