"""MNIST and CIFAR-10 as other recipes take them: all images train, raw or contrast-normalised.

Comes in: the same files as for `mnist` and `cifar10`. Goes out: the data sets mnist60k,
cifar10_50k, cifar10_printed and cifar10_gcn, registered. Their validation part is seen in training,
as those recipes have none: the first 5,000 images of MNIST, the last 5,000 of CIFAR-10.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ablation_lab.data import Part, TrainingData, declare
from ablation_lab.data.cifar import CIFAR10, PIXEL, VALIDATION, read_cifar
from ablation_lab.data.mnist import MNIST, read_idx

Floats = NDArray[np.float32]
# The deck's loop overwrites its test batch, so that the printed accuracy is that of the last one.
LAST = 100


def read_all(contents: Mapping[str, bytes]) -> tuple[TrainingData, Part]:
    """Return all 50,000 images as training part, the last 5,000 also for validation."""
    training, test = read_cifar(contents, validation=0)
    train = training.train
    validation = Part(train.x[-VALIDATION:].copy(), train.y[-VALIDATION:].copy())
    return TrainingData(train=train, validation=validation), test


def read_printed(contents: Mapping[str, bytes]) -> tuple[TrainingData, Part]:
    """Return the same with pixels 0 to 255, and only the last 100 test images."""
    training, test = read_all(contents)
    last = Part(test.x[-LAST:].copy(), test.y[-LAST:].copy())
    for part in (training.train, training.validation, last):
        np.rint(part.x / PIXEL, out=part.x)
    return training, last


def read_contrast(contents: Mapping[str, bytes]) -> tuple[TrainingData, Part]:
    """Return the same after global contrast normalisation, less the mean training image.

    For every image x <- x - mean(x), then x <- x / sqrt(mean(x^2)): Goodfellow et al. (2013), but
    for the scale, which they choose so that |x| = 55.
    """
    training, test = read_all(contents)
    parts = (training.train, training.validation, test)
    for part in parts:
        normalise(part.x)
    mean = training.train.x.mean(0)
    for part in parts:
        part.x[:] -= mean
    return training, test


def normalise(images: Floats) -> None:
    """Subtract each image's own mean and scale it to a mean square of 1, in place."""
    images -= images.mean((1, 2, 3), keepdims=True)
    # A product summed as it goes: no second array of 600 MB.
    mean_squares = np.einsum("nchw,nchw->n", images, images) / images[0].size
    images /= np.sqrt(np.where(mean_squares > 0, mean_squares, 1))[:, None, None, None]


SEEN = "train all 50,000, validation the last 5,000 of them, so it is seen in training"
ALL = replace(CIFAR10, examples=50_000)
declare(
    replace(
        MNIST,
        name="mnist60k",
        examples=60_000,
        about="MNIST digits, pixels / 255, as Keras has it: all 60,000 train; the validation part "
        "is the first 5,000 of them, so it is seen in training; test 10,000",
        read=partial(read_idx, folder="mnist", keep_in_train=True),
        version="all 60000 train, first 5000 also validation, 1",
    ),
    replace(
        ALL,
        name="cifar10_50k",
        about=f"CIFAR-10, pixels / 255, as Keras has it: {SEEN}; test 10,000",
        read=read_all,
        version="all 50000 train, last 5000 also validation, 1",
    ),
    replace(
        ALL,
        name="cifar10_printed",
        about=f"CIFAR-10 as printed in the decks: pixels 0-255, {SEEN}; test the LAST 100 images "
        "only",
        read=read_printed,
        version="all 50000 train, raw, last 100 test, 1",
    ),
    replace(
        ALL,
        name="cifar10_gcn",
        about=f"CIFAR-10, contrast of every image normalised, mean training image subtracted; "
        f"{SEEN}; test 10,000 (LSUV table)",
        read=read_contrast,
        version="all 50000 train, own mean and root mean square, mean image, 1",
    ),
)
