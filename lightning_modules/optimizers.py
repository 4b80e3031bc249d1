"""Optimisers by name: the keyword arguments of each function are its settings.

Comes in: parameters and settings. Goes out: a torch optimiser, fused where torch has a fused kernel
for the parameters' device. Here are those that TensorFlow 1 had, with its defaults; every other one
of torch goes by its name in small letters (adamw, nadam, ...), with its own arguments and defaults.
Everywhere torch's `lr` is `learning_rate` and its `eps` is `epsilon`. L2 as part of the loss is no
business of the optimiser: `weight_decay` is torch's.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from torch import nn

from lightning_modules.registry import OPTIMIZERS, UnknownName, unknown
from lightning_modules.signatures import (
    TORCH_NAMES,
    UNFIT,
    WrongSetting,
    settings_of_torch,
    signature_of,
)

# A name, and values of the settings of the optimiser that has it.
Optimizer: TypeAlias = Mapping[str, Any]
ADAM: Optimizer = MappingProxyType({"name": "adam", "learning_rate": 1e-3})

Parameters: TypeAlias = list[nn.Parameter]
Builder: TypeAlias = Callable[..., torch.optim.Optimizer]


def optimizer_settings(settings: Optimizer) -> dict[str, Any]:
    """Return the name ("adam" unless it is given) and every setting with its value.

    Errors: UnknownName for an unknown optimiser or setting (names the nearest); ValueError for a
    setting that is missing or wrong.
    """
    name = settings.get("name", "adam")
    values = {key: value for key, value in settings.items() if key != "name"}
    if name in OPTIMIZERS.names():
        arguments = signature_of(OPTIMIZERS.get(name))
    elif name in torch_optimizers():
        arguments = settings_of_torch(signature_of(torch_optimizers()[name]))
    else:
        known = (*OPTIMIZERS.names(), *torch_optimizers())
        raise UnknownName(unknown("optimiser", name, known))
    try:
        return {"name": name, **arguments.complete(f"optimizer {name!r}", values)}
    except WrongSetting as error:
        raise ValueError(f"optimizer {name!r}: {error}") from None


def build_optimizer(
    parameters: Iterable[nn.Parameter], settings: Optimizer
) -> torch.optim.Optimizer:
    """Return the optimiser of that name for the parameters.

    Errors: as `optimizer_settings`, and torch's own for values that it refuses.
    """
    values, every = optimizer_settings(settings), list(parameters)
    name = values.pop("name")
    if name in OPTIMIZERS.names():
        return OPTIMIZERS.get(name)(every, **values)
    kind = torch_optimizers()[name]
    if "fused" in inspect.signature(kind).parameters:
        values["fused"] = _fusible(every)
    return kind(every, **{TORCH_NAMES.get(key, key): value for key, value in values.items()})


def torch_optimizers() -> dict[str, Builder]:
    """Return the other optimisers that torch has: name in small letters -> class."""
    found = {
        name.lower(): kind
        for name, kind in vars(torch.optim).items()
        if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)
    }
    left_out = (*OPTIMIZERS.names(), *UNFIT)
    return {name: found[name] for name in sorted(found) if name not in left_out}


@OPTIMIZERS.register("sgd")
def sgd(
    parameters: Parameters,
    *,
    learning_rate: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> torch.optim.Optimizer:
    """Gradient descent, w <- w - lr g; with `momentum` m: v <- m v + g, w <- w - lr v."""
    return torch.optim.SGD(
        parameters,
        lr=learning_rate,
        momentum=momentum,
        dampening=dampening,
        weight_decay=weight_decay,
        nesterov=nesterov,
        fused=_fusible(parameters),
    )


@OPTIMIZERS.register("momentum")
def momentum(
    parameters: Parameters, *, learning_rate: float, momentum: float = 0.9, nesterov: bool = False
) -> torch.optim.Optimizer:
    """Gradient descent with momentum: v <- m v + g, w <- w - lr v."""
    return sgd(parameters, learning_rate=learning_rate, momentum=momentum, nesterov=nesterov)


@OPTIMIZERS.register("momentum_clipped")
def momentum_clipped(
    parameters: Parameters, *, learning_rate: float, momentum: float = 0.9, norm: float = 50.0
) -> torch.optim.Optimizer:
    """Gradient descent with momentum on clipped gradients.

    g <- g min(1, norm / |g|) for |g| over all parameters, as the `clip_gradients: 50` of the
    solvers behind the LSUV table (Mishkin and Matas, 2015).
    """
    return ClippedSGD(parameters, norm, lr=learning_rate, momentum=momentum)


class ClippedSGD(torch.optim.SGD):
    """Torch's gradient descent, before each step of which gradients are clipped to a norm."""

    def __init__(self, parameters: Parameters, norm: float, **settings: float) -> None:
        super().__init__(parameters, **settings)  # type: ignore[arg-type]
        self.norm = norm

    def step(self, closure: Any = None) -> Any:
        """Clip and update; return the loss of the closure, if given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            nn.utils.clip_grad_norm_(group["params"], self.norm)
        super().step()
        return loss


@OPTIMIZERS.register("adam")
def adam(
    parameters: Parameters,
    *,
    learning_rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba, 2015), epsilon outside the root."""
    return torch.optim.Adam(
        parameters,
        lr=learning_rate,
        betas=betas,
        eps=epsilon,
        weight_decay=weight_decay,
        amsgrad=amsgrad,
        fused=_fusible(parameters),
    )


@OPTIMIZERS.register("rmsprop")
def rmsprop(
    parameters: Parameters,
    *,
    learning_rate: float,
    alpha: float = 0.9,
    epsilon: float = 1e-10,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
) -> torch.optim.Optimizer:
    """RMSProp with TensorFlow's decay 0.9 and epsilon 1e-10.

    It differs from TensorFlow's, where epsilon is inside the root and the mean square starts at 1.
    """
    return torch.optim.RMSprop(
        parameters,
        lr=learning_rate,
        alpha=alpha,
        eps=epsilon,
        weight_decay=weight_decay,
        momentum=momentum,
        centered=centered,
    )


@OPTIMIZERS.register("adagrad")
def adagrad(
    parameters: Parameters,
    *,
    learning_rate: float,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    initial_accumulator_value: float = 0.1,
    epsilon: float = 1e-10,
) -> torch.optim.Optimizer:
    """Adagrad (Duchi et al., 2011); the accumulator starts at 0.1, as TensorFlow's."""
    return torch.optim.Adagrad(
        parameters,
        lr=learning_rate,
        lr_decay=lr_decay,
        weight_decay=weight_decay,
        initial_accumulator_value=initial_accumulator_value,
        eps=epsilon,
    )


@OPTIMIZERS.register("adadelta")
def adadelta(
    parameters: Parameters,
    *,
    learning_rate: float,
    rho: float = 0.95,
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
) -> torch.optim.Optimizer:
    """Adadelta (Zeiler, 2012) with TensorFlow's rho 0.95 and epsilon 1e-8."""
    return torch.optim.Adadelta(
        parameters, lr=learning_rate, rho=rho, eps=epsilon, weight_decay=weight_decay
    )


def _fusible(parameters: Parameters) -> bool:
    """Say whether torch's fused kernels take these parameters: float32 on the CPU or on CUDA."""
    return all(p.dtype == torch.float32 and p.device.type in ("cpu", "cuda") for p in parameters)
