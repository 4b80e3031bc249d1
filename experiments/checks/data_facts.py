"""Facts about the lectures' data, from the loaders that training uses.

Comes in: the name of a data set and a data folder. Goes out: sizes, shapes and first rows.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ablation_lab.data.dataset import DATASETS
from ablation_lab.data.files import verified_sources
from ablation_lab.data.loading import load
from ablation_lab.study.checks import CHECKS
from experiments.checks.counts import parameters
from lightning_modules.linear import Linear


@CHECKS.register("mnist_sizes")
def mnist_sizes(name: str, root: Path | None) -> Iterable[float]:
    """Training and test rows, then the sizes in bytes of the four files as they are stored."""
    training, test = load(name, root)
    sources = verified_sources(DATASETS.get(name), root).values()
    return [len(training.train), len(test), *(len(source.raw) for source in sources)]


@CHECKS.register("mnist_split")
def mnist_split(name: str, root: Path | None) -> Iterable[float]:
    """Training and test rows."""
    training, test = load(name, root)
    return [len(training.train), len(test)]


@CHECKS.register("mnist_facts")
def mnist_facts(name: str, root: Path | None) -> Iterable[float]:
    """Rows and columns of an image, pixels, training and test images, classes."""
    training, test = load(name, root)
    _, height, width = training.train.x.shape[1:]
    return [height, width, height * width, len(training.train), len(test), len(set(test.y))]


@CHECKS.register("mnist_keras_shapes")
def mnist_keras_shapes(name: str, root: Path | None) -> Iterable[float]:
    """Shapes of training images and labels, then of test images and labels, without channels."""
    training, test = load(name, root)
    return [
        float(n) for part in (training.train, test) for n in (*part.x[:, 0].shape, *part.y.shape)
    ]


@CHECKS.register("cifar10_shapes")
def cifar10_shapes(name: str, root: Path | None) -> Iterable[float]:
    """Shapes of training and test images, channels last, each with its column of labels.

    The lab keeps some of the training images for validation; the published set has both.
    """
    training, test = load(name, root)
    sizes = (len(training.train) + len(training.validation), len(test))
    channels, height, width = test.x.shape[1:]
    return [n for rows in sizes for n in (rows, height, width, channels, rows, 1)]


@CHECKS.register("diabetes_size")
def diabetes_size(name: str, root: Path | None) -> Iterable[float]:
    """Parameters of a logistic unit over the features, and rows."""
    training, _ = load(name, root)
    unit = Linear(input_shape=training.train.x.shape[1:], classes=1)
    return [parameters(unit), len(training.train)]


@CHECKS.register("diabetes_first_row")
def diabetes_first_row(name: str, root: Path | None) -> Iterable[float]:
    """The features and the label of the first row."""
    training, _ = load(name, root)
    return [*map(float, training.train.x[0]), float(training.train.y[0])]


@CHECKS.register("zoo_shapes")
def zoo_shapes(name: str, root: Path | None) -> Iterable[float]:
    """Rows and features, lowest and highest class, then the shape of the one-hot labels."""
    training, _ = load(name, root)
    labels = training.train.y
    one_hot = np.eye(int(labels.max()) + 1)[labels]
    return [*training.train.x.shape, int(labels.min()), int(labels.max()), *one_hot.shape]
