"""MNIST and Fashion-MNIST: the IDX format, and the two ways in which people split them.

Comes in: the bytes of four IDX files, verified. Goes out: float32 images (N, 1, 28, 28) in [0, 1],
being pixel * (1/255) without mean subtraction, and int64 labels (N,).
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ablation_lab.data.dataset import (
    SUMS,
    Alternative,
    DataError,
    DataFile,
    Dataset,
    Part,
    TrainingData,
    declare,
)

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


def _files(folder: str, *bases: str) -> tuple[DataFile, ...]:
    """Declare the four files, each compressed or not."""
    packed = [f"{folder}/{name}" for name in NAMES]
    return tuple(
        DataFile(
            path,
            SUMS[path],
            (Alternative(path.removesuffix(".gz"), SUMS[path.removesuffix(".gz")]),),
            tuple(base + name for base in bases),
        )
        for path, name in zip(packed, NAMES, strict=True)
    )


MNIST = Dataset(
    name="mnist",
    shape=(1, 28, 28),
    classes=10,
    examples=55_000,
    files=_files(
        "mnist",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    about="MNIST digits, pixels / 255; train images 5,000-59,999, validation the FIRST 5,000, "
    "test 10,000 (LeCun, Cortes, Burges)",
    read=partial(read_idx, folder="mnist"),
    version="first 5000 validation, 1",
)
FASHION = replace(
    MNIST,
    name="fashion_mnist",
    files=_files(
        "fashion-mnist",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    about="Fashion-MNIST, pixels / 255; train images 5,000-59,999, validation the FIRST 5,000, "
    "test 10,000 (Zalando Research, MIT)",
    read=partial(read_idx, folder="fashion-mnist"),
)
declare(MNIST, FASHION)
