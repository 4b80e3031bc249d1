"""What a data set is: its parts, its files, and the registry of all data sets by name.

Comes in: declarations (names, sums, shapes, a reader). Goes out: the same, typed and frozen.
Nothing is read here.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_modules.registry import Registry


class DataError(ValueError):
    """Data that is missing, damaged or not as declared; the message is one line."""


@dataclass(frozen=True)
class Part:
    """One part of a data set.

    Arguments:
        x: float32, shape (N, *shape).
        y: class numbers, int64, shape (N,); for sequences (N, T), for real targets float32 (N, K).
    """

    x: NDArray[np.float32]
    y: NDArray[Any]

    def __len__(self) -> int:
        """Return N, the number of rows."""
        return len(self.y)


@dataclass(frozen=True)
class TrainingData:
    """All that training code ever sees; the test set is not in it."""

    train: Part
    validation: Part


@dataclass(frozen=True)
class Alternative:
    """The same file in another form.

    Arguments:
        path: where it may lie below the data folder.
        sha256: the sum of this form.
        urls: where this form can be downloaded.
        member: for a tar archive, the name of the file inside; else empty.
    """

    path: str
    sha256: str
    urls: tuple[str, ...] = ()
    member: str = ""


@dataclass(frozen=True)
class DataFile:
    """One declared file of a data set.

    Arguments:
        name: path below the data folder, such as "mnist/train-images-idx3-ubyte.gz".
        sha256: the sum of that file, as stored; it is part of the identity of the data. Empty for
            a file that is lost, whose sum nobody knows: whatever lies there is taken.
        alternatives: other paths that are accepted: a plain path for the same bytes, an
            `Alternative` where the form and so the sum differs.
        urls: where the file can be downloaded.
        lost: for such a file, what it must look like.
    """

    name: str
    sha256: str
    alternatives: tuple[str | Alternative, ...] = ()
    urls: tuple[str, ...] = ()
    lost: str = ""

    def forms(self) -> tuple[Alternative, ...]:
        """Return every accepted form of the file, the declared one first."""
        others = (
            Alternative(other, self.sha256) if isinstance(other, str) else other
            for other in self.alternatives
        )
        return (Alternative(self.name, self.sha256, self.urls), *others)


# Gives (train + validation, test), or what else `given` turns into that.
Reader = Callable[[Mapping[str, bytes]], Any]


@dataclass(frozen=True)
class Dataset:
    """One data set: how it is called, what shape it has, where it comes from.

    Arguments:
        name: the name in YAML, tables and reports.
        shape: the shape of one row of x.
        classes: the number of classes; 1 means binary, with labels 0 and 1; 0 means that y holds
            real numbers.
        examples: the number of training examples, N of the train part.
        about: one line: what it is, how it is split, where it comes from.
        read: turns {declared name: decompressed bytes} into (train + validation, test), or into
            (train, validation, test), each a pair (x, y) of arrays or tensors.
        files: the files it is read from; none for data that comes with the code.
        loaders: `read` gives a LightningDataModule, or (train, validation, test), each a DataLoader
            or a torch Dataset; it is called anew for every run, which trains by Lightning's loop.
        test_is_train: the test set is the training set; its accuracy is training accuracy.
        version: names the split and the scaling; change it when `read` gives other numbers.
        embedded: for data without files, the `content_sum` that `read` must give.
        targets: the shape of one row of y; () for one class number.
    """

    name: str
    shape: tuple[int, ...]
    classes: int
    examples: int
    about: str
    read: Reader = field(repr=False)
    files: tuple[DataFile, ...] = ()
    test_is_train: bool = False
    version: str = "1"
    embedded: str = ""
    targets: tuple[int, ...] = ()
    loaders: bool = False


DATASETS: Registry[Dataset] = Registry("data set", words=("data",))


# Path below a data folder -> sha256, for the files of the data sets here, in every form.
SUMS: dict[str, str] = {
    path: total
    for line in Path(__file__).with_name("files.sha256").read_text("utf-8").splitlines()
    for total, path in (line.split("  "),)
}


def declare(*datasets: Dataset) -> None:
    """Register data sets, each under its own name."""
    for dataset in datasets:
        DATASETS.register(dataset.name, above=1)(dataset)


def hash_order(count: int, *names: object) -> NDArray[np.int64]:
    """Return the rows 0 .. count-1 in the order of sha256("split/<names>/<row>").

    A random generator of a library may change its stream between versions; this order stays.
    """
    stream = "/".join(("split", *map(str, names)))
    rows = sorted(range(count), key=lambda row: hashlib.sha256(f"{stream}/{row}".encode()).digest())
    return np.array(rows, dtype=np.int64)


def base_name(path: str) -> str:
    """Return the last part of a declared path."""
    return PurePosixPath(path).name
