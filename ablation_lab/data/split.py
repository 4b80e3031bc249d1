"""Orders of rows that stay the same for ever, on every machine and with every library version.

Comes in: names and a count. Goes out: a permutation. A random generator of a library may change
its stream between versions; the order of sha256 sums does not.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray


def hash_order(count: int, *names: object) -> NDArray[np.int64]:
    """Return the rows 0 .. count-1 in the order of sha256("split/<names>/<row>")."""
    stream = "/".join(("split", *map(str, names)))
    rows = sorted(range(count), key=lambda row: hashlib.sha256(f"{stream}/{row}".encode()).digest())
    return np.array(rows, dtype=np.int64)
