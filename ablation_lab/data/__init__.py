"""Data sets: declared by name, found or downloaded, verified, split.

Comes in: a name, and a data folder if one is given. Goes out: numpy arrays: a `TrainingData`
(train and validation), all that training code sees, and apart from it the test `Part`.

Files are looked for in the data folder (`root`, else the environment's ABLATION_DATA), then in the
cache folder; each under its declared path, in a folder called like the data set, and in the root
itself. What is missing is downloaded. Nothing is decoded before its sum is right.

A data set of your own lives in your package and registers by name::

    from ablation_lab.data import DATASETS, DataFile, Dataset, Part, TrainingData

    def read_my_data(contents):  # {declared name: decompressed bytes}
        rows = ...
        return TrainingData(train=Part(x, y), validation=Part(...)), Part(...)

    DATASETS.register("my_data")(
        Dataset(
            name="my_data",
            shape=(64,),
            classes=10,
            examples=55_000,
            files=(DataFile("my_data/rows.csv.gz", sha256="..."),),
            about="what it is, how it is split, where it comes from",
            read=read_my_data,
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
)
from ablation_lab.data.loading import checksum, content_sum, load, verify

__all__ = [
    "DATASETS",
    "Alternative",
    "DataError",
    "DataFile",
    "Dataset",
    "Part",
    "TrainingData",
    "checksum",
    "cifar",
    "content_sum",
    "embedded",
    "load",
    "mnist",
    "verify",
]
