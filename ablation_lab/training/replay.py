"""A computation that is captured on an accelerator at its first call and replayed at every other.

A step of small networks is hundreds of short kernels; to start each of them from Python takes
longer than they do. A CUDA graph starts all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

Compute = Callable[..., tuple[Tensor, ...]]
Replay = Callable[[], object]
Capture = Callable[[Compute, Sequence[Tensor]], tuple[Replay, tuple[Tensor, ...]]]

# Calls before the capture, in which libraries choose kernels and take their workspace.
WARM_UP = 3


class Repeated:
    """``compute`` as its device does it best, for any number of calls.

    What it gives has to depend on its inputs, and on tensors that stay where they are, alone. The
    next call may overwrite what it gave. ``way`` says how the calls are done.
    """

    def __init__(self, compute: Compute, device: torch.device) -> None:
        self._compute = compute
        self._capture = CAPTURES.get(device.type)
        self._captured: dict[tuple[torch.Size, ...], _Captured] = {}
        self.way = "one operation at a time"

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return what ``compute`` gives."""
        if self._capture is None:
            return self._compute(*inputs)
        shapes = tuple(value.shape for value in inputs)
        if shapes not in self._captured and not self._try(self._capture, shapes, inputs):
            return self._compute(*inputs)
        return self._captured[shapes].replay(inputs)

    def _try(
        self, capture: Capture, shapes: tuple[torch.Size, ...], inputs: Sequence[Tensor]
    ) -> bool:
        """Capture for inputs of these shapes; what looks at numbers, and so cannot, goes on."""
        own = [value.clone() for value in inputs]
        try:
            start, outputs = capture(self._compute, own)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self._capture = None
            self.way = f"one operation at a time, as capturing failed: {error}".splitlines()[0]
            return False
        self._captured[shapes] = _Captured(own, start, outputs)
        self.way = "captured and replayed"
        return True


@dataclass(frozen=True)
class _Captured:
    """A capture, with the tensors that it reads and those that it writes."""

    inputs: list[Tensor]
    start: Replay
    outputs: tuple[Tensor, ...]

    def replay(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        for own, value in zip(self.inputs, inputs, strict=True):
            own.copy_(value)
        self.start()
        return self.outputs


def cuda_graph(compute: Compute, inputs: Sequence[Tensor]) -> tuple[Replay, tuple[Tensor, ...]]:
    """Capture a CUDA graph of ``compute`` on ``inputs``; return its replay and its outputs."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with _without_cached_casts():
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                compute(*inputs)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = compute(*inputs)
    return graph.replay, outputs


@contextmanager
def _without_cached_casts() -> Iterator[None]:
    """Have autocast convert weights inside the graph: a cached copy would never be renewed."""
    cached = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(cached)


# By the type of the device. On a CPU there is nothing to gain.
CAPTURES: dict[str, Capture] = {"cuda": cuda_graph}
