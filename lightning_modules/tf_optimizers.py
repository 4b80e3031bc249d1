"""Optimisers of TensorFlow 1 that torch does not have, or has with another formula.

Comes in: parameters and settings. Goes out: a torch optimiser with the defaults that
TensorFlow 1 prints. g is the gradient, a an accumulator of its own size that starts at
`ACCUMULATOR`. Source of every formula: TensorFlow 1, core/kernels/training_ops.cc, and the
documentation of tf.train. Equal in torch, and so taken from there: sgd, momentum, adagrad (whose
accumulator starts at 0.1) and adadelta, see `optimizers`.
"""

from typing import Any

import torch
from torch import Tensor

from lightning_modules.optimizers import Parameters
from lightning_modules.registry import OPTIMIZERS

ACCUMULATOR = 0.1


class TensorFlowOptimizer(torch.optim.Optimizer):
    """An update of one parameter at a time; subclasses say what they keep and how they step."""

    def __init__(self, parameters: Parameters, **numbers: float) -> None:
        super().__init__(parameters, numbers)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Update every parameter that has a gradient; return the loss of the closure, if given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    kept = self.state[parameter]
                    if not kept:
                        kept.update(self.start(parameter))
                    self.update(parameter, parameter.grad, kept, group)
        return loss

    def start(self, parameter: Tensor) -> dict[str, Any]:
        """Return what is kept of a parameter before its first step."""
        return {}

    def update(self, w: Tensor, g: Tensor, kept: dict[str, Any], numbers: dict[str, Any]) -> None:
        """Change w, and what is kept of it, in place."""
        raise NotImplementedError


class AdamTF(TensorFlowOptimizer):
    """Adam with epsilon before the bias correction, "epsilon hat" (Kingma and Ba, 2015, section 2).

    m <- 0.9 m + 0.1 g, v <- 0.999 v + 0.001 g^2,
    w <- w - lr sqrt(1 - 0.999^t) / (1 - 0.9^t) m / (sqrt(v) + epsilon).
    Torch's adds epsilon to the corrected root, which matters where gradients are as small as it.
    """

    def start(self, parameter: Tensor) -> dict[str, Any]:
        """Keep t, m and v."""
        return {"t": 0, "m": torch.zeros_like(parameter), "v": torch.zeros_like(parameter)}

    def update(self, w: Tensor, g: Tensor, kept: dict[str, Any], numbers: dict[str, Any]) -> None:
        """Take one step."""
        kept["t"] += 1
        first, second, t = numbers["beta1"], numbers["beta2"], kept["t"]
        kept["m"].lerp_(g, 1 - first)
        kept["v"].mul_(second).addcmul_(g, g, value=1 - second)
        rate = numbers["lr"] * (1 - second**t) ** 0.5 / (1 - first**t)
        w.addcdiv_(kept["m"], kept["v"].sqrt().add_(numbers["epsilon"]), value=-rate)


class RMSPropTF(TensorFlowOptimizer):
    """RMSProp with epsilon inside the root and a mean square that starts at 1.

    s <- decay s + (1 - decay) g^2, v <- momentum v + lr g / sqrt(s + epsilon), w <- w - v.
    """

    def start(self, parameter: Tensor) -> dict[str, Any]:
        """Keep s, which starts at 1, and v."""
        return {"s": torch.ones_like(parameter), "v": torch.zeros_like(parameter)}

    def update(self, w: Tensor, g: Tensor, kept: dict[str, Any], numbers: dict[str, Any]) -> None:
        """Take one step."""
        kept["s"].mul_(numbers["decay"]).addcmul_(g, g, value=1 - numbers["decay"])
        root = kept["s"].add(numbers["epsilon"]).sqrt_()
        kept["v"].mul_(numbers["momentum"]).addcdiv_(g, root, value=numbers["lr"])
        w.sub_(kept["v"])


class Ftrl(TensorFlowOptimizer):
    """Follow the regularised leader, proximal (McMahan et al., 2013), learning rate power -1/2.

    z <- z + g - (sqrt(a + g^2) - sqrt(a)) / lr w, a <- a + g^2,
    w <- (sign(z) l1 - z) / (sqrt(a) / lr + 2 l2) where |z| > l1, else 0.
    z starts at 0 whatever w is, so that the first step all but forgets the initial weights.
    """

    def start(self, parameter: Tensor) -> dict[str, Any]:
        """Keep a and z."""
        return {"a": torch.full_like(parameter, ACCUMULATOR), "z": torch.zeros_like(parameter)}

    def update(self, w: Tensor, g: Tensor, kept: dict[str, Any], numbers: dict[str, Any]) -> None:
        """Take one step."""
        a, z, rate = kept["a"], kept["z"], numbers["lr"]
        before = a.sqrt()
        a.addcmul_(g, g)
        z.add_(g).sub_((a.sqrt() - before) / rate * w)
        leader = (z.sign() * numbers["l1"] - z) / (a.sqrt() / rate + 2 * numbers["l2"])
        w.copy_(torch.where(z.abs() > numbers["l1"], leader, 0.0))


class AdagradDA(TensorFlowOptimizer):
    """Adagrad with dual averaging (Duchi et al., 2011): steps start at 0, not at the initial w.

    G <- G + g, a <- a + g^2, w <- -lr sign(G) max(|G| - l1 t, 0) / (l2 t lr + sqrt(a)).
    The initial weights are forgotten in the first step, so that equal units stay equal: it is made
    for linear models.
    """

    def start(self, parameter: Tensor) -> dict[str, Any]:
        """Keep t, G and a."""
        zeros = torch.zeros_like(parameter)
        return {"t": 0, "G": zeros, "a": torch.full_like(parameter, ACCUMULATOR)}

    def update(self, w: Tensor, g: Tensor, kept: dict[str, Any], numbers: dict[str, Any]) -> None:
        """Take one step."""
        kept["t"] += 1
        kept["G"].add_(g)
        kept["a"].addcmul_(g, g)
        rate, t = numbers["lr"], kept["t"]
        shrunk = kept["G"].sign() * (kept["G"].abs() - numbers["l1"] * t).clamp_(min=0)
        w.copy_(-rate * shrunk / (numbers["l2"] * t * rate + kept["a"].sqrt()))


class ProximalGradientDescent(TensorFlowOptimizer):
    """Gradient descent, then the proximal step of l1 and l2 (Duchi and Singer, 2009).

    p = w - lr g, w <- sign(p) max(|p| - lr l1, 0) / (1 + lr l2).
    With both strengths 0, TensorFlow's default, it is gradient descent.
    """

    def update(self, w: Tensor, g: Tensor, kept: dict[str, Any], numbers: dict[str, Any]) -> None:
        """Take one step."""
        rate = numbers["lr"]
        w.copy_(_proximal(w - rate * g, rate * numbers["l1"], rate * numbers["l2"]))


class ProximalAdagrad(TensorFlowOptimizer):
    """Adagrad, then the proximal step with the rate of each weight (Duchi and Singer, 2009).

    a <- a + g^2, r = lr / sqrt(a), p = w - r g, w <- sign(p) max(|p| - r l1, 0) / (1 + r l2).
    With both strengths 0, TensorFlow's default, it is Adagrad.
    """

    def start(self, parameter: Tensor) -> dict[str, Any]:
        """Keep a."""
        return {"a": torch.full_like(parameter, ACCUMULATOR)}

    def update(self, w: Tensor, g: Tensor, kept: dict[str, Any], numbers: dict[str, Any]) -> None:
        """Take one step."""
        kept["a"].addcmul_(g, g)
        rate = numbers["lr"] * kept["a"].rsqrt()
        w.copy_(_proximal(w - rate * g, rate * numbers["l1"], rate * numbers["l2"]))


def _proximal(p: Tensor, l1: Tensor | float, l2: Tensor | float) -> Tensor:
    return p.sign() * (p.abs() - l1).clamp(min=0) / (1 + l2)


@OPTIMIZERS.register("adam_tf")
def adam_tf(
    parameters: Parameters,
    *,
    learning_rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    epsilon: float = 1e-8,
) -> torch.optim.Optimizer:
    """TensorFlow's Adam: epsilon before the bias correction."""
    first, second = betas
    return AdamTF(parameters, lr=learning_rate, beta1=first, beta2=second, epsilon=epsilon)


@OPTIMIZERS.register("rmsprop_tf")
def rmsprop_tf(
    parameters: Parameters,
    *,
    learning_rate: float,
    decay: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-10,
) -> torch.optim.Optimizer:
    """TensorFlow's RMSProp: epsilon inside the root."""
    return RMSPropTF(parameters, lr=learning_rate, decay=decay, momentum=momentum, epsilon=epsilon)


@OPTIMIZERS.register("ftrl")
def ftrl(
    parameters: Parameters, *, learning_rate: float, l1: float = 0.0, l2: float = 0.0
) -> torch.optim.Optimizer:
    """TensorFlow's Ftrl: accumulator from 0.1."""
    return Ftrl(parameters, lr=learning_rate, l1=l1, l2=l2)


@OPTIMIZERS.register("adagrad_da")
def adagrad_da(
    parameters: Parameters, *, learning_rate: float, l1: float = 0.0, l2: float = 0.0
) -> torch.optim.Optimizer:
    """TensorFlow's AdagradDA: accumulator from 0.1."""
    return AdagradDA(parameters, lr=learning_rate, l1=l1, l2=l2)


@OPTIMIZERS.register("proximal_gd")
def proximal_gd(
    parameters: Parameters, *, learning_rate: float, l1: float = 0.0, l2: float = 0.0
) -> torch.optim.Optimizer:
    """TensorFlow's ProximalGradientDescent."""
    return ProximalGradientDescent(parameters, lr=learning_rate, l1=l1, l2=l2)


@OPTIMIZERS.register("proximal_adagrad")
def proximal_adagrad(
    parameters: Parameters, *, learning_rate: float, l1: float = 0.0, l2: float = 0.0
) -> torch.optim.Optimizer:
    """TensorFlow's ProximalAdagrad: accumulator from 0.1."""
    return ProximalAdagrad(parameters, lr=learning_rate, l1=l1, l2=l2)
