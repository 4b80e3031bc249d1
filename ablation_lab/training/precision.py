"""How products are computed: in float32 unless a study says so, and every time in the same way.

Torch by itself lets convolutions on NVIDIA cards use TF32, which no deck did, and algorithms whose
sums depend on the order in which threads arrive, so that no run could be repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch


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
    # Measured on an H200: a step of the decks' networks takes the same time.
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
