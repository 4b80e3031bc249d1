"""Optimisers by name, with the settings that the decks vary.

Comes in: parameters and `OptimizerSettings`. Goes out: a torch optimiser, fused where torch has
a fused kernel for the parameters' device. L2 is no business of the optimiser here: it is part of
the loss, as in the decks.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import torch
from torch import nn

from lightning_modules.registry import Registry, unknown


def _number(value: object) -> float:
    """Return a finite number as it is, and NaN, which fails every comparison, for the rest."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number and math.isfinite(value) else math.nan  # type: ignore[arg-type,return-value]


def _check(name: str, value: object, expected: str, passed: bool) -> None:
    if not passed:
        raise ValueError(f"optimizer.{name}: expected a finite number {expected}, found {value!r}")


@dataclass(frozen=True)
class OptimizerSettings:
    """Name and numbers of an optimiser.

    `momentum` is for sgd, momentum and rmsprop (0 with the name "momentum" means 0.9), and
    `epsilon` for those that divide by a root (None: the default of the builder).
    Errors: ValueError for a learning rate that is not finite and > 0, a momentum outside [0, 1),
    an epsilon that is negative.
    """

    name: str = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.0
    epsilon: float | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        _check("learning_rate", self.learning_rate, "> 0", _number(self.learning_rate) > 0)
        _check("momentum", self.momentum, "in [0, 1)", 0 <= _number(self.momentum) < 1)
        if self.epsilon is not None:
            _check("epsilon", self.epsilon, ">= 0", _number(self.epsilon) >= 0)


ADAM = OptimizerSettings()

Parameters: TypeAlias = list[nn.Parameter]
Builder: TypeAlias = Callable[[Parameters, OptimizerSettings], torch.optim.Optimizer]
OPTIMIZERS: Registry[Builder] = Registry("optimiser")

DEFAULT_MOMENTUM = 0.9
CLIP_NORM = 50.0


def optimizer_settings(settings: OptimizerSettings | Mapping[str, object]) -> OptimizerSettings:
    """Return the settings, from themselves or from a mapping such as a section of YAML.

    Errors: ValueError for an unknown key (names the nearest) or a wrong value; UnknownName for an
    unknown optimiser.
    """
    if not isinstance(settings, OptimizerSettings):
        known = tuple(field.name for field in fields(OptimizerSettings))
        for key in settings:
            if key not in known:
                raise ValueError(unknown("setting of optimizer", key, known))
        settings = OptimizerSettings(**settings)  # type: ignore[arg-type]
    OPTIMIZERS.get(settings.name)
    return settings


def build_optimizer(
    parameters: Iterable[nn.Parameter], settings: OptimizerSettings
) -> torch.optim.Optimizer:
    """Return the optimiser of that name for the parameters.

    Errors: UnknownName; ValueError for a setting that this optimiser would ignore.
    """
    return OPTIMIZERS.get(settings.name)(list(parameters), settings)


@OPTIMIZERS.register("sgd")
def sgd(parameters: Parameters, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Gradient descent, w <- w - lr g; with `momentum` m: v <- m v + g, w <- w - lr v."""
    _refuse_epsilon(settings)
    return _sgd(parameters, settings, momentum=settings.momentum)


@OPTIMIZERS.register("momentum")
def momentum(parameters: Parameters, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Gradient descent with momentum, 0.9 unless it is given: v <- m v + g, w <- w - lr v."""
    _refuse_epsilon(settings)
    return _sgd(parameters, settings, momentum=settings.momentum or DEFAULT_MOMENTUM)


@OPTIMIZERS.register("momentum_clipped")
def momentum_clipped(parameters: Parameters, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Gradient descent with momentum, 0.9 unless it is given, on clipped gradients.

    g <- g min(1, 50 / |g|) for the norm |g| over all parameters, as the `clip_gradients: 50` of the
    solvers behind the LSUV table (Mishkin and Matas, 2015).
    """
    _refuse_epsilon(settings)
    momentum = settings.momentum or DEFAULT_MOMENTUM
    return ClippedSGD(parameters, lr=settings.learning_rate, momentum=momentum)


class ClippedSGD(torch.optim.SGD):
    """Torch's gradient descent, before each step of which gradients are clipped to a norm of 50."""

    def step(self, closure: Any = None) -> Any:
        """Clip and update; return the loss of the closure, if given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            nn.utils.clip_grad_norm_(group["params"], CLIP_NORM)
        super().step()
        return loss


@OPTIMIZERS.register("adam")
def adam(parameters: Parameters, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba, 2015): beta 0.9 and 0.999, epsilon 1e-8 outside the root."""
    _refuse_momentum(settings)
    return torch.optim.Adam(
        parameters,
        lr=settings.learning_rate,
        eps=_epsilon(settings, 1e-8),
        fused=_fusible(parameters),
    )


@OPTIMIZERS.register("rmsprop")
def rmsprop(parameters: Parameters, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """RMSProp with TensorFlow's decay 0.9 and epsilon 1e-10.

    It differs from TensorFlow's, where epsilon is inside the root and the mean square starts at 1.
    """
    return torch.optim.RMSprop(
        parameters,
        lr=settings.learning_rate,
        alpha=0.9,
        eps=_epsilon(settings, 1e-10),
        momentum=settings.momentum,
    )


@OPTIMIZERS.register("adagrad")
def adagrad(parameters: Parameters, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Adagrad (Duchi et al., 2011); the accumulator starts at 0.1, as TensorFlow's."""
    _refuse_momentum(settings)
    return torch.optim.Adagrad(
        parameters,
        lr=settings.learning_rate,
        initial_accumulator_value=0.1,
        eps=_epsilon(settings, 1e-10),
    )


@OPTIMIZERS.register("adadelta")
def adadelta(parameters: Parameters, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Adadelta (Zeiler, 2012) with TensorFlow's rho 0.95 and epsilon 1e-8."""
    _refuse_momentum(settings)
    return torch.optim.Adadelta(
        parameters, lr=settings.learning_rate, rho=0.95, eps=_epsilon(settings, 1e-8)
    )


def _sgd(
    parameters: Parameters, settings: OptimizerSettings, *, momentum: float
) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        parameters, lr=settings.learning_rate, momentum=momentum, fused=_fusible(parameters)
    )


def _fusible(parameters: Parameters) -> bool:
    """Say whether torch's fused kernels take these parameters: float32 on the CPU or on CUDA."""
    return all(p.dtype == torch.float32 and p.device.type in ("cpu", "cuda") for p in parameters)


def _epsilon(settings: OptimizerSettings, default: float) -> float:
    return default if settings.epsilon is None else settings.epsilon


def _refuse_momentum(settings: OptimizerSettings) -> None:
    if settings.momentum:
        raise ValueError(
            f"optimizer {settings.name!r} has no momentum setting, found {settings.momentum!r}; "
            "leave it out, or use 'sgd', 'momentum' or 'rmsprop'"
        )


def _refuse_epsilon(settings: OptimizerSettings) -> None:
    if settings.epsilon is not None:
        raise ValueError(
            f"optimizer {settings.name!r} has no epsilon, found {settings.epsilon!r}; leave it out"
        )
