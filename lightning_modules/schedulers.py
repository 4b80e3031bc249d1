"""Schedules of the learning rate by name: the keyword arguments of each function are its settings.

Comes in: an optimiser and settings. Goes out: torch's scheduler, in the form that Lightning expects
of `configure_optimizers`. Arguments and defaults are torch's own; beside them every schedule has an
`interval`: it moves on after each "epoch", or after each "step".
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch.optim import lr_scheduler

from lightning_modules.registry import SCHEDULERS
from lightning_modules.signatures import INTERVAL, WrongSetting, signature_of

Scheduler: TypeAlias = lr_scheduler.LRScheduler
Torch: TypeAlias = torch.optim.Optimizer
Schedule: TypeAlias = Callable[..., Scheduler]
# What reduce_on_plateau looks at: the mean loss of the batches since it last moved on.
MONITOR = "train_loss"


def scheduler_settings(settings: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the name and every setting with its value; None for none.

    Errors: UnknownName for an unknown schedule or setting (names the nearest); ValueError for a
    setting that is missing or wrong.
    """
    if settings is None:
        return None
    name = settings.get("name")
    values = {key: value for key, value in settings.items() if key != "name"}
    arguments = signature_of(SCHEDULERS.get(str(name))).also(INTERVAL)
    try:
        return {"name": name, **arguments.complete(f"scheduler {name!r}", values)}
    except WrongSetting as error:
        raise ValueError(f"scheduler {name!r}: {error}") from None


def scheduled(optimizer: Torch, settings: Mapping[str, Any] | None) -> Any:
    """Return the optimiser, with its schedule if there is one, as Lightning takes them."""
    if settings is None:
        return optimizer
    values = {key: value for key, value in settings.items() if key not in ("name", "interval")}
    return {
        "optimizer": optimizer,
        "lr_scheduler": {
            "scheduler": SCHEDULERS.get(settings["name"])(optimizer, **values),
            "interval": settings["interval"],
            "monitor": MONITOR,
        },
    }


@SCHEDULERS.register("step")
def step(optimizer: Torch, *, step_size: int, gamma: float = 0.1) -> Scheduler:
    """Multiply by `gamma` after every `step_size` intervals."""
    return lr_scheduler.StepLR(optimizer, step_size=step_size, gamma=gamma)


@SCHEDULERS.register("multi_step")
def multi_step(optimizer: Torch, *, milestones: Sequence[int], gamma: float = 0.1) -> Scheduler:
    """Multiply by `gamma` after each of these intervals."""
    return lr_scheduler.MultiStepLR(optimizer, milestones=milestones, gamma=gamma)


@SCHEDULERS.register("exponential")
def exponential(optimizer: Torch, *, gamma: float) -> Scheduler:
    """Multiply by `gamma` after every interval."""
    return lr_scheduler.ExponentialLR(optimizer, gamma=gamma)


@SCHEDULERS.register("polynomial")
def polynomial(optimizer: Torch, *, total_iters: int = 5, power: float = 1.0) -> Scheduler:
    """Fall to 0 in `total_iters` intervals: lr (1 - t / total)^power."""
    return lr_scheduler.PolynomialLR(optimizer, total_iters=total_iters, power=power)


@SCHEDULERS.register("cosine")
def cosine(optimizer: Torch, *, T_max: int, eta_min: float = 0.0) -> Scheduler:  # noqa: N803
    """Fall to `eta_min` in `T_max` intervals, along half a cosine (Loshchilov and Hutter, 2017)."""
    return lr_scheduler.CosineAnnealingLR(optimizer, T_max=T_max, eta_min=eta_min)


@SCHEDULERS.register("cosine_restarts")
def cosine_restarts(
    optimizer: Torch,
    *,
    T_0: int,  # noqa: N803
    T_mult: int = 1,  # noqa: N803
    eta_min: float = 0.0,
) -> Scheduler:
    """Fall along half a cosine in `T_0` intervals, and start again, each time `T_mult` as long."""
    return lr_scheduler.CosineAnnealingWarmRestarts(
        optimizer, T_0=T_0, T_mult=T_mult, eta_min=eta_min
    )


@SCHEDULERS.register("linear_warmup")
def linear_warmup(
    optimizer: Torch,
    *,
    start_factor: float = 0.3333333333333333,
    end_factor: float = 1.0,
    total_iters: int = 5,
) -> Scheduler:
    """Rise from `start_factor` to `end_factor` of the learning rate in `total_iters` intervals."""
    return lr_scheduler.LinearLR(
        optimizer, start_factor=start_factor, end_factor=end_factor, total_iters=total_iters
    )


@SCHEDULERS.register("one_cycle")
def one_cycle(
    optimizer: Torch,
    *,
    max_lr: float,
    total_steps: int,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    cycle_momentum: bool = True,
    base_momentum: float = 0.85,
    max_momentum: float = 0.95,
    div_factor: float = 25.0,
    final_div_factor: float = 10000.0,
    three_phase: bool = False,
) -> Scheduler:
    """Rise to `max_lr` and fall to almost 0 in `total_steps` intervals (Smith and Topin, 2018).

    It needs an optimiser with momentum, or one with betas, unless `cycle_momentum` is false.
    """
    return lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=max_lr,
        total_steps=total_steps,
        pct_start=pct_start,
        anneal_strategy=anneal_strategy,  # type: ignore[arg-type]
        cycle_momentum=cycle_momentum,
        base_momentum=base_momentum,
        max_momentum=max_momentum,
        div_factor=div_factor,
        final_div_factor=final_div_factor,
        three_phase=three_phase,
    )


@SCHEDULERS.register("reduce_on_plateau")
def reduce_on_plateau(
    optimizer: Torch,
    *,
    factor: float = 0.1,
    patience: int = 10,
    threshold: float = 0.0001,
    threshold_mode: str = "rel",
    cooldown: int = 0,
    min_lr: float = 0.0,
    eps: float = 1e-8,
) -> Scheduler:
    """Multiply by `factor` where the training loss has not fallen for `patience` intervals."""
    return lr_scheduler.ReduceLROnPlateau(
        optimizer,
        factor=factor,
        patience=patience,
        threshold=threshold,
        threshold_mode=threshold_mode,  # type: ignore[arg-type]
        cooldown=cooldown,
        min_lr=min_lr,
        eps=eps,
    )
