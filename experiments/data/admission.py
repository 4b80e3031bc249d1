"""University admission: a data set of the lectures whose file is lost.

Comes in: the file, if somebody still has it. Goes out: two features (N, 2) and labels (N,); all
rows but the last ten train, the last ten test, as the deck says. Its content has no known sum, so
a run's identity cannot cover it: remove the runs after replacing the file.
"""

from collections.abc import Mapping

import numpy as np

from ablation_lab.data.dataset import DATASETS, DataError, DataFile, Dataset, Part, TrainingData
from experiments.data.lectures import parse_table

LAST = 10
FILE = DataFile(
    name="lectures/Data_logistic.txt",
    sha256="",
    lost="one row for each applicant, two numbers and the class 0 or 1 with blanks between them, "
    "more than 10 rows, the last 10 of which are the test",
)


def read_admission(contents: Mapping[str, bytes]) -> tuple[TrainingData, Part]:
    """Split the rows: all but the last 10 train and validate, the last 10 test.

    Errors: DataError if the file does not look as it must.
    """
    ((name, raw),) = contents.items()
    table = parse_table(raw, name=name, delimiter=None)
    if table.shape[1] != 3 or len(table) <= LAST or not np.isin(table[:, 2], (0, 1)).all():
        raise DataError(
            f"{name}: expected {FILE.lost}; found {len(table)} rows of {table.shape[1]} numbers"
        )
    x, y = table[:, :2].copy(), table[:, 2].astype(np.int64)
    train = Part(x[:-LAST], y[:-LAST])
    return TrainingData(train=train, validation=train), Part(x[-LAST:], y[-LAST:])


DATASETS.register("admission")(
    Dataset(
        name="admission",
        shape=(2,),
        classes=1,
        examples=90,
        files=(FILE,),
        about="university admission, the file Data_logistic.txt of the lectures, which is lost; "
        "all rows but the last 10 train (and validation), the last 10 test",
        read=read_admission,
        version="last 10 test, 1",
    )
)
