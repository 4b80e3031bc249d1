"""What the compiler is told before a stack trains."""

from __future__ import annotations

# Of each function that torch compiles; by itself it stops at 8 and goes on without the compiler.
SHAPES = 256


def let_every_shape_compile() -> None:
    """Have a worker that trains stacks of many shapes compile the step of each of them."""
    import torch._dynamo.config as compiler

    compiler.recompile_limit = SHAPES
