"""The IDX format of MNIST and its twins, and the two ways in which people split them.

Comes in: the bytes of four IDX files. Goes out: float32 images (N, 1, 28, 28) in [0, 1], being
pixel * (1/255) without mean subtraction, and int64 labels (N,).
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ablation_lab.data.dataset import DataError, Part, TrainingData

PIXEL = np.float32(1 / 255)
VALIDATION = 5_000
NAMES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def parse_idx(raw: bytes, *, name: str, rank: int) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes.

    Format: two zero bytes, the type 8, the rank; one big-endian 32-bit size per axis; the data.

    Errors: DataError if the magic number, the header or the length is not right.
    """
    expected = bytes((0, 0, 8, rank))
    if raw[:4] != expected:
        raise DataError(
            f"{name}: expected IDX magic number {expected.hex()}, "
            f"found {raw[:4].hex() or 'nothing'}; give the original file"
        )
    start = 4 + 4 * rank
    if len(raw) < start:
        raise DataError(f"{name}: the header ends early, after {len(raw)} bytes; replace the file")
    sizes = tuple(int(size) for size in np.frombuffer(raw, ">u4", count=rank, offset=4))
    if len(raw) - start != math.prod(sizes):
        raise DataError(
            f"{name}: expected {math.prod(sizes)} bytes for sizes {sizes}, "
            f"found {len(raw) - start}; replace the file"
        )
    return np.frombuffer(raw, np.uint8, offset=start).reshape(sizes)


def read_idx(
    contents: Mapping[str, bytes],
    *,
    folder: str,
    validation: int = VALIDATION,
    keep_in_train: bool = False,
) -> tuple[TrainingData, Part]:
    """Split the four files: the FIRST `validation` training images are the validation part.

    `keep_in_train` leaves them in the training part as well, as Keras users train on all images.
    """
    names = [f"{folder}/{name}" for name in NAMES]
    train_x, test_x = (_images(contents[name], name) for name in names[::2])
    train_y, test_y = (_labels(contents[name], name) for name in names[1::2])
    for images, labels, name in ((train_x, train_y, names[0]), (test_x, test_y, names[2])):
        if len(images) != len(labels):
            raise DataError(
                f"{name}: expected {len(labels)} images, one for each label, found {len(images)}; "
                "give image and label files that belong together"
            )
    first = 0 if keep_in_train else validation
    training = TrainingData(
        train=Part(train_x[first:], train_y[first:]),
        validation=Part(train_x[:validation], train_y[:validation]),
    )
    return training, Part(test_x, test_y)


def _images(raw: bytes, name: str) -> NDArray[np.float32]:
    pixels = parse_idx(raw, name=name, rank=3)
    return np.multiply(pixels[:, None], PIXEL, dtype=np.float32)


def _labels(raw: bytes, name: str) -> NDArray[np.int64]:
    return parse_idx(raw, name=name, rank=1).astype(np.int64)
