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
    DATASETS,
    Alternative,
    DataError,
    DataFile,
    Dataset,
    Part,
    TrainingData,
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
ARCHIVE_SUM = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
ARCHIVE_URLS = (f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}",)

# Batch, sum of the .xz file, sum of the original pickle.
BATCHES = (
    (
        "data_batch_1",
        "95699f21b1add43ae87c844ddcd9267a04aa76f29c3ddd0d707706dad9eac2ac",
        "54636561a3ce25bd3e19253c6b0d8538147b0ae398331ac4a2d86c6d987368cd",
    ),
    (
        "data_batch_2",
        "7bbaaa28ed82fbdaa725334ff15ee061921b4a151611188afcd6685ccd9fd5a0",
        "766b2cef9fbc745cf056b3152224f7cf77163b330ea9a15f9392beb8b89bc5a8",
    ),
    (
        "data_batch_3",
        "10423c061558444782e616104159d39e1b75bce9bdc2824c8385386ff136275b",
        "0f00d98ebfb30b3ec0ad19f9756dc2630b89003e10525f5e148445e82aa6a1f9",
    ),
    (
        "data_batch_4",
        "e4fdb5683383dd84dd16b65aed3132d0bf436f8f44fa19c40b26a7848532c852",
        "3f7bb240661948b8f4d53e36ec720d8306f5668bd0071dcb4e6c947f78e9682b",
    ),
    (
        "data_batch_5",
        "d4636503c38da9b49640c8ce76ee04be008c2e2a37bbc7d90ebbfeebfa4fa361",
        "d91802434d8376bbaeeadf58a737e3a1b12ac839077e931237e0dcd43adcb154",
    ),
    (
        "test_batch",
        "19b08cc72ac85f17efead982cf7846739a2a9bfaf6d68c3112af40c7494dffef",
        "f53d8d457504f7cff4ea9e021afcf0e0ad8e24a91f3fc42091b8adef61157831",
    ),
)


def _file(batch: str, packed: str, plain: str) -> DataFile:
    original = f"cifar-10-batches-py/{batch}"
    return DataFile(
        name=f"cifar-10/{batch}.xz",
        sha256=packed,
        alternatives=(
            Alternative(original, plain),
            Alternative(ARCHIVE, ARCHIVE_SUM, ARCHIVE_URLS, member=original),
        ),
    )


CIFAR10 = Dataset(
    name="cifar10",
    shape=SHAPE,
    classes=10,
    examples=45_000,
    files=tuple(_file(*batch) for batch in BATCHES),
    about="CIFAR-10, pixels / 255; train 45,000, validation the LAST 5,000 of batches 1-5, "
    "test 10,000 (Krizhevsky, Nair, Hinton 2009)",
    read=read_cifar,
    version="last 5000 validation, 1",
)
DATASETS.register("cifar10")(CIFAR10)
