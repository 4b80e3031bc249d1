"""MNIST as Keras has it: all 60,000 images train.

Comes in: the same four files as for `mnist`. Goes out: the data set mnist60k, registered.
"""

from functools import partial

from ablation_lab.data import DATASETS, Dataset
from ablation_lab.data.idx import read_idx
from ablation_lab.data.mnist import MNIST_FILES

DATASETS.register("mnist60k")(
    Dataset(
        name="mnist60k",
        shape=(1, 28, 28),
        classes=10,
        examples=60_000,
        files=MNIST_FILES,
        about="MNIST digits, pixels / 255, as Keras has it: all 60,000 train; the validation part "
        "is the first 5,000 of them, so it is seen in training; test 10,000",
        read=partial(read_idx, folder="mnist", keep_in_train=True),
        version="all 60000 train, first 5000 also validation, 1",
    )
)
