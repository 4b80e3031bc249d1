"""How many bits matrix products and convolutions are computed in: float32, unless a study says so.

Torch by itself lets convolutions on NVIDIA cards use TF32, which no deck did.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def precision(name: str | None) -> Iterator[None]:
    """Compute with float32 products (None), "tf32" (10-bit mantissas, on a card), or "bf16".

    "bf16" runs products in bfloat16 and keeps parameters, sums and losses in float32.
    """
    products, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = name == "tf32"
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=name == "bf16"):
            yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions
