"""The CSV files of the lectures: diabetes and zoo.

Comes in: the bytes of a CSV file, the class in its last column. Goes out: float32 features (N, D),
as they are in the file, and int64 labels (N,).
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ablation_lab.data.dataset import (
    DATASETS,
    DataError,
    DataFile,
    Dataset,
    Part,
    TrainingData,
)

SOURCE = (
    "https://raw.githubusercontent.com/hunkim/DeepLearningZeroToAll/"
    "60c707e02af7bd950401faeadcc6c0e1b39b2978/"
)
DIABETES = DataFile(
    name="lectures/data-03-diabetes.csv",
    sha256="89e33de71cd5afdcd4fe8a722b60c4d69eb8f9b96446cea9347d735ff2df395e",
    urls=(SOURCE + "data-03-diabetes.csv",),
)
ZOO = DataFile(
    name="lectures/data-04-zoo.csv",
    sha256="cbf109a391118676bb76a5b0174573c295aed8561cc223abb4c3463990f2c476",
    urls=(SOURCE + "data-04-zoo.csv",),
)
LAST = 20


def parse_csv(raw: bytes, *, name: str) -> Part:
    """Read rows of numbers between commas, the class in the last column.

    Errors: DataError if a row is no row of numbers or has another length.
    """
    table = parse_table(raw, name=name)
    return Part(table[:, :-1].copy(), table[:, -1].astype(np.int64))


def parse_table(raw: bytes, *, name: str, delimiter: str | None = ",") -> NDArray[np.float32]:
    """Read rows of numbers between commas, or blanks; lines that start with # are comments.

    Errors: DataError if a row is no row of numbers or has another length.
    """
    try:
        text = raw.decode("utf-8")
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        table = np.loadtxt(lines, delimiter=delimiter, dtype=np.float32, ndmin=2)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{name}: expected rows of numbers ({reason}); replace the file") from None
    return np.asarray(table, dtype=np.float32)


def read_whole(contents: Mapping[str, bytes]) -> tuple[TrainingData, Part]:
    """Use all rows of the one file as train, validation and test part."""
    rows = _only(contents)
    return TrainingData(train=rows, validation=rows), rows


def read_last(contents: Mapping[str, bytes]) -> tuple[TrainingData, Part]:
    """Keep the last 20 rows of the one file for the test; the others are train and validation.

    The decks have no validation part here; taking the test rows for it would give them away.
    """
    rows = _only(contents)
    train = Part(rows.x[:-LAST], rows.y[:-LAST])
    return TrainingData(train=train, validation=train), Part(rows.x[-LAST:], rows.y[-LAST:])


def _only(contents: Mapping[str, bytes]) -> Part:
    ((name, raw),) = contents.items()
    return parse_csv(raw, name=name)


DATASETS.register("diabetes")(
    Dataset(
        name="diabetes",
        shape=(8,),
        classes=1,
        examples=759,
        files=(DIABETES,),
        about="diabetes, 759 rows; train, validation and test are the same rows "
        "(hunkim/DeepLearningZeroToAll, lab-05-2)",
        read=read_whole,
        test_is_train=True,
    )
)

DATASETS.register("diabetes_last20")(
    Dataset(
        name="diabetes_last20",
        shape=(8,),
        classes=1,
        examples=739,
        files=(DIABETES,),
        about="diabetes; train 739 rows, validation the same rows, test the LAST 20 rows "
        "(hunkim/DeepLearningZeroToAll)",
        read=read_last,
        version="last 20 test, 1",
    )
)

DATASETS.register("zoo")(
    Dataset(
        name="zoo",
        shape=(16,),
        classes=7,
        examples=101,
        files=(ZOO,),
        about="zoo, 101 animals; train, validation and test are the same rows "
        "(hunkim/DeepLearningZeroToAll, lab-06-2; UCI)",
        read=read_whole,
        test_is_train=True,
    )
)
