"""How products are computed: in float32 unless a study says so, and every time in the same way.

Torch by itself lets convolutions on NVIDIA cards use TF32, which no deck did, and algorithms whose
sums depend on the order in which threads arrive, so that no run could be repeated.
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
    library = torch.backends.cudnn
    products, convolutions = torch.get_float32_matmul_precision(), library.allow_tf32
    repeatable = library.deterministic
    torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
    library.allow_tf32 = name == "tf32"
    # Measured on an H200: a step of the decks' networks takes the same time.
    library.deterministic = True
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=name == "bf16"):
            yield
    finally:
        torch.set_float32_matmul_precision(products)
        library.allow_tf32 = convolutions
        library.deterministic = repeatable
