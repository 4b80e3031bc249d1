"""What a module's layers put out, and how many parameters it has, on torch's meta device.

Comes in: a function that builds a module, and the shape of one input. Goes out: shapes by the
layers' names. No memory is taken and no number computed.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """Build a module whose parameters have shapes and no values."""
    with torch.device("meta"):
        return build()


def output_shapes(module: nn.Module, input_shape: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Return the output shape of every named child, without the batch axis, in order of use.

    Shapes: the input is (1, *input_shape); a child that runs more than once keeps its last shape.
    """
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Callable[[nn.Module, Any, torch.Tensor], None]:
        def hook(_: nn.Module, __: Any, output: torch.Tensor) -> None:
            shapes[name] = tuple(output.shape[1:])

        return hook

    hooks = [child.register_forward_hook(note(name)) for name, child in module.named_children()]
    module(torch.empty(1, *input_shape, device="meta"))
    for hook in hooks:
        hook.remove()
    return shapes


def parameters(module: nn.Module) -> int:
    """Return the number of parameters, biases included."""
    return sum(parameter.numel() for parameter in module.parameters())
