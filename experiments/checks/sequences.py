"""Vocabularies, index sequences and windows of the decks' recurrent networks.

Comes in: the data sets that those networks train on. Goes out: numbers.
"""

from collections.abc import Iterable

import numpy as np

from ablation_lab.data import load
from ablation_lab.study.checks import CHECKS


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
