"""Data sets: declared by name, found or downloaded, verified, split.

Comes in: a name, and a data folder if one is given. Goes out: numpy arrays: a `TrainingData`
(train and validation), all that training code sees, and apart from it the test `Part`.

Files are looked for in the data folder (`root`, else the environment's ABLATION_DATA), then in the
cache folder; each under its declared path, in a folder called like the data set, and in the root
itself. What is missing is downloaded. Nothing is decoded before its sum is right.

A data set of your own is a `Dataset` that your plug-in declares::

    def read_my_data(contents):  # {declared name: decompressed bytes}
        rows = ...
        return TrainingData(train=Part(x, y), validation=Part(...)), Part(...)

    declare(
        Dataset(
            name="my_data",
            shape=(64,),
            classes=10,
            examples=55_000,
            about="what it is, how it is split, where it comes from",
            read=read_my_data,
            files=(DataFile("my_data/rows.csv.gz", sha256="..."),),
        )
    )

Then `name: my_data` in the data section of a study is enough. Change `version` when the reader
gives other numbers: it is part of the identity of every run.
"""

from ablation_lab.data import cifar, embedded, mnist
from ablation_lab.data.dataset import (
    DATASETS,
    Alternative,
    DataError,
    DataFile,
    Dataset,
    Part,
    TrainingData,
    declare,
    hash_order,
)
from ablation_lab.data.given import Loaders
from ablation_lab.data.loading import checksum, content_sum, load, load_loaders, verify

__all__ = [
    "DATASETS",
    "Alternative",
    "DataError",
    "DataFile",
    "Dataset",
    "Loaders",
    "Part",
    "TrainingData",
    "checksum",
    "cifar",
    "content_sum",
    "declare",
    "embedded",
    "hash_order",
    "load",
    "load_loaders",
    "mnist",
    "verify",
]
