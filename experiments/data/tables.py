"""The CSV files of the lectures: a class, or a number to predict, in the last column.

Comes in: the bytes of one file. Goes out: float32 features (N, D), as they are in the file, with
int64 labels (N,) or float32 targets (N, 1). The file of `admission` is lost, so that its content
has no known sum and a run's identity cannot cover it: remove the runs after replacing the file.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ablation_lab.data import DataError, DataFile, Dataset, Part, TrainingData, declare
from ablation_lab.data.embedded import one_part

SOURCE = (
    "https://raw.githubusercontent.com/hunkim/DeepLearningZeroToAll/"
    "60c707e02af7bd950401faeadcc6c0e1b39b2978/"
)


def _file(name: str, sha256: str) -> DataFile:
    return DataFile(f"lectures/{name}", sha256, urls=(SOURCE + name,))


DIABETES = _file(
    "data-03-diabetes.csv", "89e33de71cd5afdcd4fe8a722b60c4d69eb8f9b96446cea9347d735ff2df395e"
)
ZOO = _file("data-04-zoo.csv", "cbf109a391118676bb76a5b0174573c295aed8561cc223abb4c3463990f2c476")
SCORES = _file(
    "data-01-test-score.csv", "4414f6016807913c412b64885cf2939e988d4564f002d363181be20ac622a0e5"
)
STOCK = _file(
    "data-02-stock_daily.csv", "a0ebd202da621b20c04253178714ca05147ffd8f712f8adafd38cee78e38a334"
)
ADMISSION = DataFile(
    name="lectures/Data_logistic.txt",
    sha256="",
    lost="one row for each applicant, two numbers and the class 0 or 1 with blanks between them, "
    "more than 10 rows, the last 10 of which are the test",
)
# Days that predict the next one, and the share of rows that train, as in the course's public code.
WINDOW, TRAIN_SHARE = 7, 0.7

Floats = NDArray[np.float32]
Contents = Mapping[str, bytes]


def table(contents: Contents, *, delimiter: str | None = ",") -> Floats:
    """Read the rows of the one file, numbers between commas, or blanks; a line of # is a comment.

    Errors: DataError if a row is no row of numbers or has another length.
    """
    ((name, raw),) = contents.items()
    try:
        text = raw.decode("utf-8")
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        rows = np.loadtxt(lines, delimiter=delimiter, dtype=np.float32, ndmin=2)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{name}: expected rows of numbers ({reason}); replace the file") from None
    return np.asarray(rows, dtype=np.float32)


def labelled(rows: Floats) -> Part:
    """Take the last column for the class."""
    return Part(rows[:, :-1].copy(), rows[:, -1].astype(np.int64))


def read_whole(contents: Contents) -> tuple[TrainingData, Part]:
    """Use all rows as train, validation and test part."""
    return one_part(labelled(table(contents)))


def read_last(contents: Contents, *, count: int) -> tuple[TrainingData, Part]:
    """Keep the last rows for the test; the others are train and validation.

    The decks have no validation part here; taking the test rows for it would give them away.
    """
    return _last(labelled(table(contents)), count)


def read_admission(contents: Contents, *, count: int) -> tuple[TrainingData, Part]:
    """Split the rows as `read_last` does.

    Errors: DataError if the file does not look as it must.
    """
    rows = table(contents, delimiter=None)
    if rows.shape[1] != 3 or len(rows) <= count or not np.isin(rows[:, 2], (0, 1)).all():
        raise DataError(
            f"{ADMISSION.name}: expected {ADMISSION.lost}; found {len(rows)} rows of "
            f"{rows.shape[1]} numbers"
        )
    return _last(labelled(rows), count)


def read_scores(contents: Contents) -> tuple[TrainingData, Part]:
    """Return all rows as every part: three test scores (N, 3), and the final one (N, 1)."""
    rows = table(contents)
    return one_part(Part(rows[:, :-1].copy(), rows[:, -1:].copy()))


def read_stock(contents: Contents) -> tuple[TrainingData, Part]:
    """Return windows of 7 days (N, 7, 5) and the next closing price (N, 1), oldest day first.

    The first 70 % of the rows train; the rest, with the 7 rows before it, test. Each part is
    scaled to [0, 1] by its own minimum and maximum of every column.
    """
    rows = table(contents)[::-1]
    cut = int(len(rows) * TRAIN_SHARE)
    train, test = _windows(_scaled(rows[:cut])), _windows(_scaled(rows[cut - WINDOW :]))
    return TrainingData(train=train, validation=train), test


def _last(rows: Part, count: int) -> tuple[TrainingData, Part]:
    train = Part(rows.x[:-count], rows.y[:-count])
    return TrainingData(train=train, validation=train), Part(rows.x[-count:], rows.y[-count:])


def _scaled(rows: Floats) -> Floats:
    low, high = rows.min(0), rows.max(0)
    scaled: Floats = ((rows - low) / (high - low + np.float32(1e-7))).astype(np.float32)
    return scaled


def _windows(rows: Floats) -> Part:
    starts = range(len(rows) - WINDOW)
    x = np.stack([rows[start : start + WINDOW] for start in starts])
    return Part(x, rows[WINDOW:, -1:].copy())


declare(
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
    ),
    Dataset(
        name="diabetes_last20",
        shape=(8,),
        classes=1,
        examples=739,
        files=(DIABETES,),
        about="diabetes; train 739 rows, validation the same rows, test the LAST 20 rows "
        "(hunkim/DeepLearningZeroToAll)",
        read=partial(read_last, count=20),
        version="last 20 test, 1",
    ),
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
    ),
    Dataset(
        name="test_scores",
        shape=(3,),
        classes=0,
        examples=25,
        files=(SCORES,),
        about="25 rows of three test scores and the final one; train, validation and test are the "
        "same rows (hunkim/DeepLearningZeroToAll, lab-04)",
        read=read_scores,
        test_is_train=True,
        targets=(1,),
    ),
    Dataset(
        name="stock",
        shape=(WINDOW, 5),
        classes=0,
        examples=505,
        files=(STOCK,),
        about="daily stock prices: 7 days of 5 columns predict the next close; first 70 % of the "
        "rows train (and validation), the rest test, each scaled by itself "
        "(hunkim/DeepLearningZeroToAll, lab-12-5)",
        read=read_stock,
        version="70 % train, windows of 7, own scales, 1",
        targets=(1,),
    ),
    Dataset(
        name="admission",
        shape=(2,),
        classes=1,
        examples=90,
        files=(ADMISSION,),
        about="university admission, the file Data_logistic.txt of the lectures, which is lost; "
        "all rows but the last 10 train (and validation), the last 10 test",
        read=partial(read_admission, count=10),
        version="last 10 test, 1",
    ),
)
