"""The CSV files of the lectures with a number to predict: test scores, daily stock prices.

Comes in: the bytes of a CSV file, the number to predict in its last column. Goes out: float32
features, and float32 targets (N, 1).
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ablation_lab.data.dataset import DATASETS, DataFile, Dataset, Part, TrainingData
from ablation_lab.data.embedded import one_part
from experiments.data.lectures import SOURCE, parse_table

SCORES = DataFile(
    name="lectures/data-01-test-score.csv",
    sha256="4414f6016807913c412b64885cf2939e988d4564f002d363181be20ac622a0e5",
    urls=(SOURCE + "data-01-test-score.csv",),
)
STOCK = DataFile(
    name="lectures/data-02-stock_daily.csv",
    sha256="a0ebd202da621b20c04253178714ca05147ffd8f712f8adafd38cee78e38a334",
    urls=(SOURCE + "data-02-stock_daily.csv",),
)
# Days that predict the next one, and the share of rows that train, as in the course's public code.
WINDOW, TRAIN_SHARE = 7, 0.7

Floats = NDArray[np.float32]


def read_scores(contents: Mapping[str, bytes]) -> tuple[TrainingData, Part]:
    """Return all rows as every part: three test scores (N, 3), and the final one (N, 1)."""
    table = _only(contents)
    return one_part(Part(table[:, :-1].copy(), table[:, -1:].copy()))


def read_stock(contents: Mapping[str, bytes]) -> tuple[TrainingData, Part]:
    """Return windows of 7 days (N, 7, 5) and the next closing price (N, 1), oldest day first.

    The first 70 % of the rows train; the rest, with the 7 rows before it, test. Each part is
    scaled to [0, 1] by its own minimum and maximum of every column.
    """
    table = _only(contents)[::-1]
    cut = int(len(table) * TRAIN_SHARE)
    train, test = _windows(_scaled(table[:cut])), _windows(_scaled(table[cut - WINDOW :]))
    return TrainingData(train=train, validation=train), test


def _only(contents: Mapping[str, bytes]) -> Floats:
    ((name, raw),) = contents.items()
    return parse_table(raw, name=name)


def _scaled(table: Floats) -> Floats:
    low, high = table.min(0), table.max(0)
    scaled: Floats = ((table - low) / (high - low + np.float32(1e-7))).astype(np.float32)
    return scaled


def _windows(table: Floats) -> Part:
    starts = range(len(table) - WINDOW)
    x = np.stack([table[start : start + WINDOW] for start in starts])
    return Part(x, table[WINDOW:, -1:].copy())


DATASETS.register("test_scores")(
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
    )
)

DATASETS.register("stock")(
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
    )
)
