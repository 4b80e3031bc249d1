"""How a worker's device computes: with which products, compiled or not, captured or not.

A step of small networks is hundreds of short kernels; to start each of them from Python takes
longer than they do. A CUDA graph starts all at once; on a CPU a compiler fuses them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

# Compiling a shape costs seconds, so that it pays from about this many layer-steps of single runs.
COMPILE_FROM = 10_000_000
# Of what a compiler says, in letters: it may quote the whole program.
LONGEST_REASON = 200
# Of each function that torch compiles; by itself it stops at 8 and goes on without the compiler.
SHAPES = 256
Step = Callable[[list[Tensor], Tensor, Tensor], tuple[list[Tensor], Tensor]]
Compute = Callable[..., tuple[Tensor, ...]]
Replay = Callable[[], object]
Capture = Callable[[Compute, Sequence[Tensor]], tuple[Replay, tuple[Tensor, ...]]]

# Calls before the capture, in which libraries choose kernels and take their workspace.
WARM_UP = 3


@contextmanager
def precision(name: str | None) -> Iterator[None]:
    """Compute with float32 products (None), "tf32" (10-bit mantissas, on a card), or "bf16".

    "bf16" runs products in bfloat16 and keeps parameters, sums and losses in float32.
    """
    library = torch.backends.cudnn
    products, convolutions = torch.get_float32_matmul_precision(), library.allow_tf32
    repeatable = library.deterministic
    torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
    library.allow_tf32 = name == "tf32"
    # Measured on an H200: a step of networks for MNIST takes the same time.
    library.deterministic = True
    try:
        with _products_in_bfloat16() if name == "bf16" else nullcontext():
            yield
    finally:
        torch.set_float32_matmul_precision(products)
        library.allow_tf32 = convolutions
        library.deterministic = repeatable


def _products_in_bfloat16() -> torch.autocast:
    """Return the context, which may last a whole fit.

    By itself torch converts a weight once and keeps that until the context ends, which is meant for
    one step: in a fit the forward pass of every step would be one of the initial weights.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.autocast(device, dtype=torch.bfloat16, cache_enabled=False)


def let_every_shape_compile() -> None:
    """Have a worker that trains stacks of many shapes compile the step of each of them."""
    import torch._dynamo.config as compiler

    compiler.recompile_limit = SHAPES


class Compiled:
    """A step that is compiled where that is ``wanted``, and as it was written where it fails.

    Whether a compiler works shows at the first call only: it may lack the headers of Python, or
    room for its files. What is wrong with the step itself, the step as written says again. ``way``
    says whether it is compiled, and why not where it was to be.
    """

    def __init__(self, step: Step, *, wanted: bool) -> None:
        self._step = step
        self._fast: Step | None = torch.compile(step, dynamic=False) if wanted else None
        self.way = str(wanted).lower()

    def __call__(self, values: list[Tensor], x: Tensor, y: Tensor) -> tuple[list[Tensor], Tensor]:
        """Take the step."""
        if self._fast is None:
            return self._step(values, x, y)
        try:
            return self._fast(values, x, y)
        except torch.OutOfMemoryError:
            # The stack has to be halved instead.
            raise
        except Exception as error:  # a compiler raises whatever it likes
            self._fast = None
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            self.way = f"false, as compiling failed: {reason[:LONGEST_REASON]}"
        # Outside the except clause, whose traceback would keep tensors alive.
        return self._step(values, x, y)


def worth_compiling(layer_steps: int) -> bool:
    """Say whether compiling pays for this many layer-steps, and a compiler is there."""
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    return layer_steps >= COMPILE_FROM and compiler is not None


class Repeated:
    """``compute`` as its device does it best, for any number of calls.

    What it gives has to depend on its inputs, and on tensors that stay where they are, alone. The
    next call may overwrite what it gave. Tensors that it changes in place are named as ``changed``.
    ``way`` says how the calls are done.
    """

    def __init__(
        self, compute: Compute, device: torch.device, *, changed: Sequence[Tensor] = ()
    ) -> None:
        self._compute = compute
        self._changed = changed
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
        # To capture takes steps that do not count.
        before = [value.clone() for value in self._changed]
        try:
            start, outputs = capture(self._compute, own)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self._capture = None
            self.way = f"one operation at a time, as capturing failed: {error}".splitlines()[0]
            return False
        finally:
            for value, kept in zip(self._changed, before, strict=True):
                value.copy_(kept)
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
