"""Random streams by role: a hash of names, never arithmetic on a global seed.

``stream = sha256(study seed, role, replicate)``: replicate r of every cell shares its data order
and, where shapes agree, its initial draw, so that comparisons between cells are paired. Seed 0 is
a seed like any other.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum


class Role(StrEnum):
    """What a stream of random numbers is for."""

    SPLIT = "split"
    INIT = "init"
    ORDER = "order"
    DROPOUT = "dropout"


def stream(seed: int, role: Role, replicate: int) -> int:
    """Return the seed of one stream, an integer in [0, 2^63)."""
    text = f"ablation-lab/{seed}/{role.value}/{replicate}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
