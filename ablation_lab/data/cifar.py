"""CIFAR-10: the Python batches, from single files or from the original archive.

Comes in: the bytes of six pickled batches, verified. Goes out: float32 images (N, 3, 32, 32) in
[0, 1], being pixel * (1/255), and int64 labels (N,).
"""

import io
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

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
SHAPE = (3, 32, 32)

# What a pickled array needs, and nothing else. The batches name the module as of numpy 1.
ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class ArraysOnly(pickle.Unpickler):
    """Unpickles numpy arrays and plain containers; any other global is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """Return an allowed global.

        Errors: UnpicklingError for every other one, before it is looked up.
        """
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return ALLOWED[module, name]


def parse_batch(raw: bytes, *, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read one batch: pixels (N, 3, 32, 32) and labels (N,).

    Errors: DataError for a pickle that is damaged, asks for more than arrays, or is no batch.
    """
    try:
        batch = ArraysOnly(io.BytesIO(raw), encoding="bytes").load()
    # A damaged pickle can raise nearly anything; none of it says more than the name.
    except Exception as error:
        text = " ".join(str(error).split())
        raise DataError(f"{name}: not a CIFAR-10 batch ({text}); replace the file") from None
    pixels = batch.get(b"data") if isinstance(batch, dict) else None
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 2:
        raise DataError(f"{name}: expected an array 'data' of bytes, two axes; replace the file")
    labels = batch.get(b"labels")
    if pixels.shape[1] != 3072 or not isinstance(labels, list) or len(labels) != len(pixels):
        raise DataError(f"{name}: expected 3,072 bytes and one label for each row; replace it")
    return pixels.reshape(-1, *SHAPE), np.array(labels, dtype=np.int64)


def read_cifar(
    contents: Mapping[str, bytes], *, validation: int = VALIDATION
) -> tuple[TrainingData, Part]:
    """Join the batches: the last file is the test set, the others are for training.

    The LAST `validation` images of the training batches are the validation part.
    """
    *train_names, test_name = contents
    train = _join([parse_batch(contents[name], name=name) for name in train_names])
    test = _join([parse_batch(contents[test_name], name=test_name)])
    count = len(train) - validation
    training = TrainingData(
        train=Part(train.x[:count], train.y[:count]),
        validation=Part(train.x[count:], train.y[count:]),
    )
    return training, test


def _join(batches: Sequence[tuple[NDArray[np.uint8], NDArray[np.int64]]]) -> Part:
    """Scale the batches into one array, without a second copy of the 600 MB."""
    labels = np.concatenate([labels for _, labels in batches])
    images = np.empty((len(labels), *SHAPE), np.float32)
    row = 0
    for pixels, _ in batches:
        np.multiply(pixels, PIXEL, out=images[row : row + len(pixels)], dtype=np.float32)
        row += len(pixels)
    return Part(images, labels)


ARCHIVE = "cifar-10-python.tar.gz"
BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")


def _file(batch: str) -> DataFile:
    """Declare one batch: compressed by itself, as it is, or within the original archive."""
    packed, original = f"cifar-10/{batch}.xz", f"cifar-10-batches-py/{batch}"
    urls = (f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}",)
    archived = Alternative(ARCHIVE, SUMS[ARCHIVE], urls, member=original)
    return DataFile(packed, SUMS[packed], (Alternative(original, SUMS[original]), archived))


CIFAR10 = Dataset(
    name="cifar10",
    shape=SHAPE,
    classes=10,
    examples=45_000,
    files=tuple(map(_file, BATCHES)),
    about="CIFAR-10, pixels / 255; train 45,000, validation the LAST 5,000 of batches 1-5, "
    "test 10,000 (Krizhevsky, Nair, Hinton 2009)",
    read=read_cifar,
    version="last 5000 validation, 1",
)
declare(CIFAR10)
