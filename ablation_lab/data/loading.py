"""The three questions to a data set: what is it, is it there, what is in it.

Comes in: a name and, if given, a data folder. Goes out: an identity, a check, or arrays.
"""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ablation_lab.data.dataset import (
    DATASETS,
    DataError,
    Dataset,
    Part,
    TrainingData,
    hash_order,
)
from ablation_lab.data.files import decoded, verified_sources
from ablation_lab.data.given import Loaders, arrays_of, loaders_of, seeded


def checksum(name: str) -> str:
    """Return the identity of the data as sha256, from what is declared; no file is touched.

    It changes with the sum of a file, the shape, the classes, the version of the split, and the
    sum of embedded data; not with the form or the place in which a file is found.

    Errors: UnknownName.
    """
    dataset = DATASETS.get(name)
    identity = {
        "files": [(file.name, file.sha256) for file in dataset.files],
        "shape": dataset.shape,
        "classes": dataset.classes,
        "version": dataset.version,
        "embedded": dataset.embedded,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def verify(name: str, root: Path | None = None) -> None:
    """Check that every file of the data set is there and right; download what is missing.

    Data without files is read and held against its declaration. What its function raises is left
    to the runs that use it: there it is said with its place, and all others go on.

    Errors: UnknownName; DataError, one line, for the first file that is missing or wrong.
    """
    dataset = DATASETS.get(name)
    verified_sources(dataset, root)
    if dataset.files:
        return
    try:
        (load_loaders if dataset.loaders else load)(name, root)
    except DataError:
        raise
    except (Exception, SystemExit):
        return


def load(
    name: str, root: Path | None = None, *, train_size: int | None = None, split_seed: int = 0
) -> tuple[TrainingData, Part]:
    """Return (train and validation part, test part) of a data set.

    Arguments:
        name: a name in `DATASETS`.
        root: the data folder; without it, the folder in ABLATION_DATA, then the cache folder.
        train_size: how many training rows to keep, at most all: the first ones of a permutation
            by `split_seed`, so that of one seed a small training set is part of a larger one.
        split_seed: chooses the permutation; without `train_size` the rows stay as they are.

    Errors: UnknownName; DataError, one line, for missing, wrong or damaged data, or a
    `train_size` that the data cannot give.
    """
    dataset = DATASETS.get(name)
    training, test = arrays_of(dataset, _read(dataset, root))
    _check(dataset, training.train, "train")
    _check(dataset, training.validation, "validation")
    _check(dataset, test, "test")
    if dataset.embedded and (found := content_sum(training, test)) != dataset.embedded:
        raise DataError(
            f"{name}: expected content sum {dataset.embedded}, found {found}; the data that comes "
            "with the installed packages has changed, install the versions of the lock file"
        )
    if train_size is not None:
        training = replace(training, train=_subset(dataset, training.train, train_size, split_seed))
    return training, test


def load_loaders(name: str, root: Path | None = None) -> Loaders:
    """Return the parts of a data set that says that it gives `loaders`.

    Errors: UnknownName; DataError as for `load`.
    """
    dataset = DATASETS.get(name)
    return loaders_of(dataset, _read(dataset, root))


def _read(dataset: Dataset, root: Path | None) -> Any:
    contents = decoded(verified_sources(dataset, root))
    with seeded(dataset.name):
        return dataset.read(contents)


def content_sum(training: TrainingData, test: Part) -> str:
    """Return the sha256 of all rows of all parts, in order; the `embedded` sum of a data set."""
    total = hashlib.sha256()
    for part in (training.train, training.validation, test):
        total.update(repr(part.x.shape).encode())
        total.update(part.x.astype("<f4").tobytes())
        real = np.issubdtype(part.y.dtype, np.floating)
        total.update(part.y.astype("<f4" if real else "<i8").tobytes())
    return total.hexdigest()


def _subset(dataset: Dataset, train: Part, size: int, seed: int) -> Part:
    if not 1 <= size <= len(train):
        raise DataError(
            f"{dataset.name}: data.train_size: expected 1 to {len(train)}, found {size}; "
            "choose a number in that range, or null for all"
        )
    rows = hash_order(len(train), dataset.name, seed)[:size]
    return Part(train.x[rows], train.y[rows])


def _check(dataset: Dataset, part: Part, where: str) -> None:
    """Compare a part with the declaration: a wrong reader fails here, not in training."""
    top = max(dataset.classes, 2) - 1
    for what, expected, found in (
        ("type of x", "float32", str(part.x.dtype)),
        ("type of y", "int64" if dataset.classes else "float32", str(part.y.dtype)),
        ("shape of a row", dataset.shape, part.x.shape[1:]),
        ("shape of a target", dataset.targets, part.y.shape[1:]),
        ("number of labels", len(part.x), len(part.y)),
    ):
        if expected != found:
            raise DataError(_mismatch(dataset, where, what, expected, found))
    if not len(part):
        raise DataError(_mismatch(dataset, where, "number of rows", "at least 1", 0))
    if dataset.classes:
        low, high = int(part.y.min()), int(part.y.max())
        if low < 0 or high > top:
            raise DataError(_mismatch(dataset, where, "labels", f"0 to {top}", f"{low} to {high}"))
    # NaN and infinity both reach an extreme value; this needs no second array.
    for name, values in (("x", part.x), ("y", part.y)):
        if not np.isfinite((values.min(), values.max())).all():
            raise DataError(
                _mismatch(dataset, where, f"values of {name}", "finite numbers", "NaN or infinity")
            )


def _mismatch(dataset: Dataset, where: str, what: str, expected: object, found: object) -> str:
    return (
        f"{dataset.name}: {what} in the {where} part: expected {expected}, found {found}; "
        "correct the declaration or its reader"
    )
