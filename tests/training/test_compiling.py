"""A worker compiles the step of every shape that it meets."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch._dynamo.config as compiler

from ablation_lab.training.computing import let_every_shape_compile


def compiled_shapes(count: int) -> int:
    """Return for how many of so many shapes torch asks the compiler."""
    asked: list[Any] = []

    def noting(graph: torch.fx.GraphModule, inputs: Any) -> Any:
        asked.append(inputs)
        return graph.forward

    def step(x: torch.Tensor) -> torch.Tensor:
        return x * 2 + 1

    torch.compiler.reset()
    fast = torch.compile(step, dynamic=False, backend=noting)
    for size in range(2, 2 + count):
        assert torch.equal(fast(torch.ones(size)), torch.full((size,), 3.0))
    return len(asked)


def test_more_shapes_than_torch_compiles_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "recompile_limit", 8)
    assert compiled_shapes(12) == 8
    let_every_shape_compile()
    assert compiled_shapes(12) == 12
