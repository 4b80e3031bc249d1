"""What reaches each layer of a network: its weights, their gradients, and its activations.

Comes in: a module and examples. Goes out: one `LayerSignal` per dense or convolution layer, in the
order in which they are called. Nothing of the module changes, nor does the random state.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lightning_modules.families import Learner
from lightning_modules.layers import Layer, layers_of


@dataclass(frozen=True)
class LayerSignal:
    """One layer: its weight W, dE/dW of the same shape, and the activations (B, ...).

    The activations are what the layer called next receives, so behind activation function and
    pooling; those of the last layer are its outputs.
    """

    name: str
    weight: Tensor
    gradient: Tensor
    activation: Tensor

    @property
    def gradient_norm(self) -> float:
        """Euclidean norm of dE/dW."""
        return float(self.gradient.norm())

    @property
    def weight_norm(self) -> float:
        """Euclidean norm of W."""
        return float(self.weight.norm())

    @property
    def activation_mean(self) -> float:
        """Mean over units and examples."""
        return float(self.activation.mean())

    @property
    def activation_std(self) -> float:
        """Standard deviation over units and examples."""
        return float(self.activation.std(correction=0))

    @property
    def activation_spread(self) -> float:
        """Root mean over units of the variance over examples: 0 where all inputs look the same."""
        return float(self.activation.flatten(1).var(0, correction=0).mean().sqrt())


def layer_signals(module: Learner, x: Tensor, y: Tensor) -> list[LayerSignal]:
    """Return the signal of every layer for examples x (B, ...) and their targets y.

    E is the module's objective on these examples, in evaluation: without dropout.
    """
    network = module.network
    was_training = module.training
    called: list[tuple[str, Layer]] = []
    received: dict[str, Tensor] = {}
    outputs: dict[str, Tensor] = {}
    hooks = []
    for path, _, layer in layers_of(network):
        hooks.append(layer.register_forward_pre_hook(_receive(path, layer, called, received)))
        hooks.append(layer.register_forward_hook(_give(path, outputs)))
    module.eval()
    try:
        loss = module.objective(x, y)
    finally:
        module.train(was_training)
        for hook in hooks:
            hook.remove()
    gradients = torch.autograd.grad(loss, [layer.weight for _, layer in called])
    following = [received[path] for path, _ in called[1:]] + [outputs[called[-1][0]]]
    return [
        LayerSignal(f"layer_{number}", layer.weight.detach(), gradient, activation)
        for number, ((_, layer), gradient, activation) in enumerate(
            zip(called, gradients, following, strict=True), start=1
        )
    ]


def _receive(
    path: str, layer: Layer, called: list[tuple[str, Layer]], received: dict[str, Tensor]
) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    """Return a hook that notes a layer's first call and its last input."""

    def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if path not in received:
            called.append((path, layer))
        received[path] = inputs[0].detach()

    return hook


def _give(
    path: str, outputs: dict[str, Tensor]
) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    """Return a hook that notes a layer's last output."""

    def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        outputs[path] = output.detach()

    return hook
