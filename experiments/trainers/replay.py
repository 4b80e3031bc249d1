"""A computation that is captured on an accelerator at its first call and replayed at every other.

A step of small networks is hundreds of short kernels; to start each of them from Python takes
longer than they do. A CUDA graph starts all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

Compute = Callable[..., tuple[Tensor, ...]]
Replay = Callable[[], object]
Capture = Callable[[Compute, Sequence[Tensor]], tuple[Replay, tuple[Tensor, ...]]]

# Calls before the capture, in which libraries choose kernels and take their workspace.
WARM_UP = 3


class Repeated:
    """``compute`` for one kind of input, as its device does it best.

    It has to depend on its inputs, and on tensors that stay where they are, alone; what it changes
    besides, such as gradients, has to be overwritten by the next call. The next call overwrites
    what it returned, too. ``way`` says how the calls are done.
    """

    def __init__(self, compute: Compute, device: torch.device) -> None:
        self._compute = compute
        self._capture = CAPTURES.get(device.type)
        self._replay: Replay | None = None
        self._inputs: list[Tensor] = []
        self._outputs: tuple[Tensor, ...] = ()
        self.way = "one operation at a time"

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return what ``compute`` gives for inputs of the shapes of the first call."""
        if self._capture is not None:
            self._try(self._capture, inputs)
        if self._replay is None:
            return self._compute(*inputs)
        for own, value in zip(self._inputs, inputs, strict=True):
            own.copy_(value)
        self._replay()
        return self._outputs

    def _try(self, capture: Capture, inputs: Sequence[Tensor]) -> None:
        """Capture once. What cannot be captured, because it looks at numbers, goes on as it is."""
        self._capture = None
        self._inputs = [value.clone() for value in inputs]
        try:
            self._replay, self._outputs = capture(self._compute, self._inputs)
            self.way = "captured and replayed"
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self.way = f"one operation at a time, as capturing failed: {error}".splitlines()[0]


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
