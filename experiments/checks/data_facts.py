"""Facts about the lectures' data, from the loaders that training uses, and about other data.

Comes in: the name of a data set and a data folder, or neither. Goes out: sizes, shapes, first rows,
and whether statements hold that another slide, or the data, contradicts.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ablation_lab.data import DATASETS, cifar, load, mnist  # noqa: F401 - it declares data sets
from ablation_lab.data.files import verified_sources
from ablation_lab.study.metric import CHECKS
from experiments.architectures import parameters
from lightning_modules.mlp import Linear


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


@CHECKS.register("hello_vocabulary")
def hello_vocabulary() -> Iterable[float]:
    """Symbols of "hello"."""
    return [len(set("hello"))]


@CHECKS.register("hihello_one_hot")
def hihello_one_hot() -> Iterable[float]:
    """Symbols, input size and sequence length of "hihello", whose target is one character ahead."""
    indices, one_hot = sequence("hihello")
    length, size = one_hot.shape
    return [len(set(indices)), size, length]


@CHECKS.register("sentence_sizes")
def sentence_sizes() -> Iterable[float]:
    """Distinct characters of the sentence, and the length of its input sequence."""
    indices, one_hot = sequence("name_text")
    return [len(set(indices)), len(one_hot)]


@CHECKS.register("sentence_indices")
def sentence_indices() -> Iterable[float]:
    """The sentence as indices into the printed dictionary."""
    return sequence("name_text")[0]


@CHECKS.register("ramp_shapes")
def ramp_shapes() -> Iterable[float]:
    """Shapes of the windows x (rows, steps) and targets y (rows, 1) of the ramp, and test rows."""
    training, test = load("ramp")
    rows = len(training.train) + len(test)
    return [rows, test.x.shape[1], rows, test.y.shape[1], len(test)]


def sequence(name: str) -> tuple[list[int], np.ndarray]:
    """Return the whole text of a data set as indices, and its inputs as one-hot rows (T, C).

    The targets are the inputs moved by one, so that only the last one is news.
    """
    training, _ = load(name)
    one_hot, following = training.train.x[0], training.train.y[0]
    return [*one_hot.argmax(1).tolist(), int(following[-1])], one_hot


RESNET_TOP5 = 3.6  # percent, on the slide of the ILSVRC 2015 results
IMAGENET_IMAGES = 14_200_000  # on the slide about ImageNet


@CHECKS.register("resnet_at_most_3_percent")
def resnet_at_most_3_percent() -> Iterable[float]:
    """Whether the top-5 error that another slide prints is 3 % or less: 1 or 0."""
    return [RESNET_TOP5 <= 3]


@CHECKS.register("training_set_sizes")
def training_set_sizes() -> Iterable[float]:
    """Training images of MNIST and CIFAR-10 as declared, of ImageNet as another slide has it."""
    mnist_rows, kept = (DATASETS.get(name).examples for name in ("mnist60k", "cifar10"))
    return [mnist_rows, kept + cifar.VALIDATION, IMAGENET_IMAGES]
