"""The plan: which runs train together as a stack, which alone, and why. Pure.

On a CPU a stack pays where a step's cost is mostly overhead; where matrix products dominate, one
single-threaded process per core is as quick, and a stack of images would copy them at every step.
On an accelerator every network of these studies is small.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ablation_lab.study.command import Limits, code_of
from ablation_lab.study.key import INDIFFERENT
from ablation_lab.study.networks import SIZES
from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.study.stacking import (
    descends_innermost,
    is_found,
    is_own_stack,
    trainer_of,
    why_alone,
)
from ablation_lab.training.cost import (
    NO_LIMIT,
    Accelerators,
    Limit,
    estimate,
    estimate_innermost,
    estimate_on_a_card,
    memory_of_run,
    step_elements,
    step_work,
)

# Runs in a stack at most: where the run axis is innermost, and where it comes first on a CPU, for
# small steps and for tiny ones, which are nothing but overhead.
LARGEST_STACK = 1024
LARGEST_MINIBATCH_STACK = 32
LARGEST_TINY_STACK = 128
# Multiply-adds of a run's step; measured, a step of 128 such runs takes 1.2 to 2.4 times one of 32.
TINY_STEP = 32_768
# Numbers that a step of an innermost stack goes through; more leave a core's cache.
CACHED_ELEMENTS = 1_500_000
# What runs of a stack may differ in: always, in the innermost layout, and with the run axis first.
FREE = ("model.init", "model.dense_init", "model.bias_init", "model.recurrent_init")
FREE_INNERMOST = ("optimizer.learning_rate",)
FREE_FIRST = ("model.keep_prob", "model.dense_keep_prob", "training.loss", "training.l2")
# Measured on one core, the start of the worker apart.
SECONDS_PER_CHECK = 0.1
# After how long a stack is taken for hung whose runs say nothing: so many times its estimate, but
# no sooner than this, and this where only the module knows how large it is.
TIMES, SOONEST, UNKNOWN = 20.0, 3_600.0, 86_400.0
# Of a command or function whose limits say nothing: a guess, as only it knows.
SECONDS_OF_OTHERS = 60.0
NOTHING_SAID: Mapping[str, Any] = {"minutes": None, "memory": None, "files": 0}


def plan(
    runs: Iterable[Run],
    *,
    data_root: str | None,
    plugins: tuple[str, ...],
    accelerators: Accelerators | None = None,
    devices: int = 1,
    alone: Mapping[tuple[str, str], str] | None = None,
    project: Path = Path(),
) -> list[Stack]:
    """Group training runs to stacks: stacked ones first, then the others in the given order.

    With several ``devices`` for each run, every run trains by itself; so does a cell of a study
    that was found to have to, with the reason as ``alone``. Without accelerators, how
    runs are grouped does not depend on the number of workers: neither does the rounding of their
    results. With them, stacks are small enough that every worker has one.
    """
    groups: dict[str, list[Run]] = {}
    single: list[tuple[Run, str]] = []
    computed: list[Run] = []
    for run in runs:
        if not run.trains:
            computed.append(run)
            continue
        # The layers of a run are looked at where all of it trains.
        spread = f"spread over {devices} devices" if devices > 1 and not run.probed else ""
        obstacle = spread or why_alone(run.config, accelerator=accelerators is not None)
        obstacle = obstacle or (alone or {}).get((run.study, run.cell), "")
        if obstacle:
            single.append((run, obstacle))
        else:
            groups.setdefault(shape(run), []).append(run)
    stacks = []
    stacked = sum(map(len, groups.values()))
    for group in groups.values():
        largest, reason = _largest(group[0].config, stacked, accelerators)
        if is_found(group[0].config["model"]["family"]):
            reason = f"where its first steps are the same so; {reason}"
        for part in _even_parts(group, largest):
            stacks.append(Stack(part, TrainerName.STACKED, reason, data_root, plugins))
    # Long ones first, so that no worker is left with one at the end.
    stacks.sort(key=estimated, reverse=True)
    whole = str(project.absolute())
    for together, trainer, reason in _computed(computed, project):
        stacks.append(Stack(together, trainer, reason, data_root, plugins, project=whole))
    return stacks + [
        Stack((run,), TrainerName.SINGLE, why, data_root, plugins, 1 if run.probed else devices)
        for run, why in single
    ]


def _computed(runs: list[Run], project: Path) -> Iterator[tuple[tuple[Run, ...], TrainerName, str]]:
    """Yield the runs that train nothing: checks together, each other one by itself; and why."""
    checks = []
    for run in runs:
        if (trainer := trainer_of(run.config)) is TrainerName.COMPUTED:
            checks.append(run)
        else:
            yield (run,), trainer, f"a process of its own; {_code(run, project)}"
    if checks:
        yield tuple(checks), TrainerName.COMPUTED, "checks compute, they train nothing"


def _code(run: Run, project: Path) -> str:
    if "command" in run.config:
        return f"code: {code_of(run.config['command'], project)}"
    return f"code: the function {run.config['model']['family']!r} and what it calls of yours"


def estimated(stack: Stack, accelerators: Accelerators | None = None) -> float:
    """Return about how many seconds a stack takes a worker: one core, or one share of a card."""
    config, runs = stack.runs[0].config, len(stack.runs)
    if stack.trainer is TrainerName.COMPUTED:
        return SECONDS_PER_CHECK * runs
    if not stack.runs[0].trains:
        minutes = config["limits"]["minutes"]
        return SECONDS_OF_OTHERS if minutes is None else 60 * float(minutes)
    if accelerators is not None:
        replayed = stack.trainer is TrainerName.STACKED
        whole = estimate_on_a_card(config, runs=runs, replayed=replayed)
        return accelerators.sharing * whole
    if stack.trainer is TrainerName.STACKED and descends_innermost(config):
        return estimate_innermost(config, runs=runs)
    return estimate(config, runs=runs)


def limit_of(stack: Stack, accelerators: Accelerators | None = None) -> Limit:
    """Return what a worker may take for a stack; what trains nothing here is watched there."""
    if not stack.runs[0].trains:
        return NO_LIMIT
    said = [Limits(**run.config.get("limits", NOTHING_SAID)) for run in stack.runs]
    config = stack.runs[0].config
    # No way to train it takes longer than the slower of these two.
    longest = max(estimated(stack, accelerators), estimate(config, runs=len(stack.runs)))
    unsaid = max(SOONEST, TIMES * longest) if config["model"]["family"] in SIZES else UNKNOWN
    minutes = [each.minutes for each in said if each.minutes is not None]
    memory = [each.memory for each in said if each.memory is not None]
    return Limit(
        seconds=60 * sum(minutes) if len(minutes) == len(said) else unsaid,
        bytes=1e9 * max(memory) if len(memory) == len(said) else math.inf,
    )


def shape(run: Run) -> str:
    """Return what the runs of a stack have in common: all but what each may have of its own."""
    common: dict[str, Any] = {
        name: dict(section) for name, section in run.config.items() if name not in INDIFFERENT
    }
    innermost = descends_innermost(run.config)
    free = (*FREE, *(FREE_INNERMOST if innermost else FREE_FIRST))
    # What a module of a user's own does with a setting is its own.
    for key in () if is_own_stack(run.config["model"]["family"]) else free:
        section, name = key.split(".")
        common[section].pop(name, None)
    return json.dumps([innermost, common], sort_keys=True)


def _largest(
    config: Mapping[str, Any], stacked: int, accelerators: Accelerators | None
) -> tuple[int, str]:
    """Return how many runs of this kind one stack takes, of ``stacked`` in all, and why."""
    if descends_innermost(config):
        cached = max(1, min(LARGEST_STACK, CACHED_ELEMENTS // step_elements(config)))
        return cached, f"small, full batch, plain descent: up to {cached} in one fused step"
    if accelerators is not None:
        return _largest_on(accelerators, memory_of_run(config), stacked)
    tiny = step_work(config) <= TINY_STEP
    sharing = LARGEST_TINY_STACK if tiny else LARGEST_MINIBATCH_STACK
    return sharing, f"{'tiny' if tiny else 'small'}: up to {sharing} share a step's overhead"


def _largest_on(accelerators: Accelerators, memory: int, stacked: int) -> tuple[int, str]:
    """Return how many runs of ``memory`` bytes each share an accelerator, and why."""
    fitting = max(1, min(LARGEST_STACK, accelerators.bytes // memory))
    share = math.ceil(stacked / accelerators.workers)
    known = "measured" if accelerators.measured else "assumed"
    room = f"up to {fitting} in {accelerators.bytes / (1 << 30):.1f} GiB ({known})"
    if share < fitting:
        return share, f"accelerator: {room}, {share} for each of {accelerators.workers} workers"
    return fitting, f"accelerator: {room}"


def _even_parts(runs: list[Run], largest: int) -> list[tuple[Run, ...]]:
    """Cut runs into as few parts as possible, of equal size but for the last."""
    parts = math.ceil(len(runs) / largest)
    size = math.ceil(len(runs) / parts)
    return [tuple(runs[first : first + size]) for first in range(0, len(runs), size)]
