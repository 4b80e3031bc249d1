"""Data without any download: XOR, two spirals, scikit-learn's digits.

Comes in: nothing, or the file that scikit-learn installs. Goes out: small data sets whose numbers
are checked against a declared sum when they are loaded.
"""

from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ablation_lab.data.dataset import (
    DataError,
    Dataset,
    Part,
    TrainingData,
    declare,
    hash_order,
)

XOR = (((0, 0), (0, 1), (1, 0), (1, 1)), (0, 1, 1, 0))
SPIRAL_POINTS = 97
DIGITS_TRAIN, DIGITS_VALIDATION = 1_197, 300


def part(x: ArrayLike, y: ArrayLike) -> Part:
    """Return a part with the types that training needs."""
    return Part(np.array(x, dtype=np.float32), np.array(y, dtype=np.int64))


def one_part(rows: Part) -> tuple[TrainingData, Part]:
    """Return data whose train, validation and test parts are the same rows."""
    return TrainingData(train=rows, validation=rows), rows


def read_points(
    _contents: Mapping[str, bytes], *, x: ArrayLike, y: ArrayLike
) -> tuple[TrainingData, Part]:
    """Return arrays that are written in the code; there is nothing to read."""
    return one_part(part(x, y))


def read_digits(_contents: Mapping[str, bytes]) -> tuple[TrainingData, Part]:
    """Split the 1,797 digits of scikit-learn: 1,197 train, 300 validation, 300 test.

    Errors: DataError if scikit-learn does not bring the file.
    """
    # The file is read by its place: importing scikit-learn takes 1.5 s, reading takes 0.02 s.
    spec = find_spec("sklearn")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    file = Path(folders[0] if folders else "sklearn") / "datasets" / "data" / "digits.csv.gz"
    if not file.is_file():
        raise DataError(f"digits: file {file} not found; install scikit-learn, as in the lock file")
    table = np.loadtxt(file, delimiter=",", dtype=np.float32)
    order = hash_order(len(table), "digits")
    x = (table[order, :-1] / np.float32(16)).reshape(-1, 1, 8, 8)
    y = table[order, -1].astype(np.int64)
    middle, end = DIGITS_TRAIN, DIGITS_TRAIN + DIGITS_VALIDATION
    training = TrainingData(
        train=Part(x[:middle], y[:middle]), validation=Part(x[middle:end], y[middle:end])
    )
    return training, Part(x[end:], y[end:])


def read_spirals(_contents: Mapping[str, bytes]) -> tuple[TrainingData, Part]:
    """Return two spirals that wind three times around each other, 97 points each.

    Point i of class 1 lies at angle i pi / 16 and radius 6.5 (104 - i) / 104, that of class 0
    opposite (Lang and Witbrock, 1988 Connectionist Models Summer School).
    """
    i = np.arange(SPIRAL_POINTS)
    angle, radius = i * np.pi / 16, 6.5 * (104 - i) / 104
    one = np.stack([radius * np.sin(angle), radius * np.cos(angle)], -1)
    return one_part(part(np.concatenate([one, -one]), np.repeat([1, 0], SPIRAL_POINTS)))


declare(
    Dataset(
        name="xor",
        shape=(2,),
        classes=1,
        examples=4,
        about="exclusive or, 4 rows; train, validation and test are the same rows (truth table)",
        read=partial(read_points, x=XOR[0], y=XOR[1]),
        test_is_train=True,
        embedded="1bd813ebc7c37ae17934d589e93a1572ac753263de676f509b4bde6a1f5e7d8c",
    ),
    Dataset(
        name="spirals",
        shape=(2,),
        classes=1,
        examples=2 * SPIRAL_POINTS,
        about="two spirals, 97 points each; train, validation and test are the same rows "
        "(Lang and Witbrock 1988)",
        read=read_spirals,
        test_is_train=True,
        embedded="1cf331a084ccaebe37c154802c6385ff3d87bbcb5b44aac3d42175f0802d661c",
    ),
    Dataset(
        name="digits",
        shape=(1, 8, 8),
        classes=10,
        examples=1_197,
        about="handwritten digits, pixels / 16; fixed split by hash, 1,197 train, 300 validation, "
        "300 test (scikit-learn; UCI, Alpaydin and Kaynak 1998)",
        read=read_digits,
        version="hash split 1197 300 300, 1",
        embedded="6be04b1795387633436ae13b4f4c347d9d9ef33a308da65db52f3dba431a5e2e",
    ),
)
