"""A CUDA graph on the CPU: what is captured is a list of kernels and where their results lie.

A replay runs no Python of the captured function, as on a card: numbers that Python knew are those
of the capture. What a card refuses to capture is refused here: looking at a number, and copying
from the host.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ablation_lab.training.computing import Compute

REFUSED = ("aten._local_scalar_dense", "aten.lift_fresh", "aten.nonzero", "aten.equal")


class Tape(TorchDispatchMode):
    """Notes every kernel that is called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, list[Any]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a kernel and note it, or refuse it."""
        if str(func).startswith(REFUSED):
            raise RuntimeError(f"operation not permitted when stream is capturing: {func}")
        out = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, tree_leaves(out)))
        return out

    def replay(self) -> None:
        """Call the kernels again; their results go where those of the capture lie."""
        with torch.no_grad():
            for func, args, kwargs, before in self.calls:
                for own, value in zip(before, tree_leaves(func(*args, **kwargs)), strict=True):
                    if isinstance(own, Tensor) and own.data_ptr() != value.data_ptr():
                        own.copy_(value)


def tape(
    compute: Compute, inputs: Sequence[Tensor]
) -> tuple[Callable[[], None], tuple[Tensor, ...]]:
    """Capture a computation of a CPU."""
    compute(*inputs)
    captured = Tape()
    with captured:
        outputs = compute(*inputs)
    return captured.replay, outputs
