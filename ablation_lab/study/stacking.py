"""Which runs can train together as a stack, said from their configuration alone. Pure.

Comes in: a resolved configuration. Goes out: who trains such a run, and why not a stack. It is part
of what a run is, as a stack rounds otherwise than its runs by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from inspect import isfunction, signature
from typing import Any

from ablation_lab.data import DATASETS
from ablation_lab.study.networks import dense, inputs, size
from ablation_lab.study.run import TrainerName
from lightning_modules.registry import FAMILIES

# Above this many weights, runs by gradient descent no longer gain from the innermost layout.
LARGEST_INNERMOST = 4096
# Measured on a core with AVX2, batch 100: from here on a stack takes as long as its runs.
LARGEST_NETWORK = 65_536
LARGEST_INPUT = 256
STACKED_FAMILIES = (
    *("linear", "mlp", "convnet", "linear_regression", "char_rnn", "lstm", "autoencoder"),
    "resnet",
)
CONVOLUTIONS = ("convnet", "resnet")
# Optimisers that treat every number by itself, so that runs in one tensor do not see each other.
STACKED_OPTIMIZERS = (
    *("sgd", "momentum", "adam", "rmsprop", "adagrad", "adadelta"),
    *("adamw", "nadam", "radam", "adamax", "asgd", "rprop"),
    *("adam_tf", "rmsprop_tf", "ftrl", "adagrad_da", "proximal_gd", "proximal_adagrad"),
)

# What a stack of a user's own modules takes from their class, and what every class has.
CALLED = frozenset(
    {
        *("forward", "training_step", "configure_optimizers", "__init__", "__module__", "__doc__"),
        *("__dict__", "__weakref__", "__annotations__", "__parameters__", "__orig_bases__"),
        *("__abstractmethods__", "_abc_impl", "__firstlineno__", "__static_attributes__"),
        *("__annotations_cache__", "__annotate__", "__annotate_func__"),
    }
)
# What the lab calls besides, of a module that trains alone.
UNCALLED = ("answer", "pretrain", "steps_per_batch")
# What plain gradient descent has; with anything else the innermost layout would leave it out.
PLAIN = ("name", "learning_rate")


def trainer_of(config: Mapping[str, Any]) -> TrainerName:
    """Return who trains a run on a CPU: a key must not depend on the machine.

    Where an accelerator stacks more, a test holds that a stack is its runs.
    """
    if "check" in config:
        return TrainerName.COMPUTED
    if "training" not in config:
        return TrainerName.COMMAND if "command" in config else TrainerName.FUNCTION
    if "ensemble" in config:
        return TrainerName.ENSEMBLE
    return TrainerName.SINGLE if why_alone(config) else TrainerName.STACKED


def why_alone(config: Mapping[str, Any], *, accelerator: bool = False) -> str:
    """Say what keeps a run out of a stack; empty if nothing does."""
    obstacle = next(_obstacles(config), "")
    if obstacle or accelerator:
        return obstacle
    return _why_not_on_a_cpu(config)


def _obstacles(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what keeps a run out of every stack."""
    family, optimizer = config["model"]["family"], config["optimizer"]["name"]
    training = config["training"]
    if DATASETS.get(config["data"]["name"]).loaders:
        yield "its data come from loaders, batch by batch"
    if training.get("trainer"):
        yield "a trainer with settings of its own does not stack"
    if family in STACKED_FAMILIES:
        if config["model"].get("augment"):
            yield "changed images do not stack: they are drawn for each run"
        if optimizer not in STACKED_OPTIMIZERS:
            yield f"optimiser {optimizer} does not stack"
    elif obstacle := _obstacle_of_own(family):
        yield obstacle
    if scheduler := config.get("scheduler", {}).get("name"):
        yield f"scheduler {scheduler} does not stack"
    if not training.get("shuffle", True):
        yield "a stored order does not stack"


def is_function(family: str) -> bool:
    """Say whether a family is a function that is called for its values.

    Others are trained: classes, and functions that build a module. These take ``input_shape``, or
    say that they return a module.
    """
    found = FAMILIES.loaded(family)
    if not isfunction(found):
        return False
    given = signature(found)
    returned = str(given.return_annotation).rpartition(".")[2].rstrip("'>")
    return "input_shape" not in given.parameters and not returned.endswith("Module")


def is_own(family: str) -> bool:
    """Say whether a family is a user's own module, and none of the lab's."""
    kind = FAMILIES.loaded(family)
    return kind is not None and not kind.__module__.startswith("lightning_modules.")


def is_own_stack(family: str) -> bool:
    """Say whether runs of a family of a user's own may train in stacks.

    What its class promises, or leaves open, is held against its first steps before it trains.
    """
    return family not in STACKED_FAMILIES and not _obstacle_of_own(family)


def is_found(family: str) -> bool:
    """Say whether only the first steps of a family of a user's own tell if it stacks."""
    return is_own_stack(family) and getattr(FAMILIES.loaded(family), "stacks", None) is None


def _obstacle_of_own(family: str) -> str:
    kind: Any = FAMILIES.loaded(family)
    stacks = getattr(kind, "stacks", None)
    if not is_own(family):
        return f"family {family} does not stack"
    if stacks is not None:
        return "" if stacks else f"family {family} says `stacks = False`"
    hooks = sorted(_hooks(kind))
    return f"family {family} has a {hooks[0]}, which a stack would not call" if hooks else ""


def _hooks(kind: type) -> set[str]:
    """Return what a class has of a LightningModule's methods beside those that a stack calls."""
    lines = kind.__mro__
    names = [each.__name__ for each in lines]
    first = names.index("LightningModule") if "LightningModule" in names else len(lines) - 1
    own = {name for each in lines[:first] for name in vars(each)}
    return own & {*dir(lines[first]), *UNCALLED} - CALLED


def _why_not_on_a_cpu(config: Mapping[str, Any]) -> str:
    if config["model"]["family"] in CONVOLUTIONS:
        return "convolutions: on a CPU a stack of them is slower than its runs"
    if not is_own_stack(config["model"]["family"]) and size(config).weights > LARGEST_NETWORK:
        return f"more than {LARGEST_NETWORK} weights: matrix products dominate on a CPU"
    if inputs(config) > LARGEST_INPUT and config["training"]["batch_size"] is not None:
        return f"more than {LARGEST_INPUT} inputs: a stack on a CPU copies a batch for every run"
    return ""


def descends_innermost(config: Mapping[str, Any]) -> bool:
    """Say whether runs of this kind train with the run axis innermost: small, by plain descent."""
    model, optimizer = config["model"], config["optimizer"]
    return (
        model["family"] in ("linear", "mlp")
        and model.get("keep_prob", 1.0) == 1.0
        and config["training"]["batch_size"] is None
        and optimizer["name"] == "sgd"
        and not any(value for key, value in optimizer.items() if key not in PLAIN)
        and not config["training"].get("lr_milestones")
        and dense(config).weights <= LARGEST_INNERMOST
    )
