"""Vocabularies, index sequences and windows of the decks' recurrent networks."""

from collections.abc import Iterable

import numpy as np

from experiments.checks.registry import CHECKS

SENTENCE = " My name is Joongheon Kim."
# The printed char2idx, as the characters in the order of their index; set() has no fixed order.
PRINTED_ORDER = "enmJ yhsigKM.oa"
ROWS, WINDOW = 100, 5


def one_hot(text: str, order: str) -> np.ndarray:
    """Return the text as one-hot rows (length, symbols)."""
    return np.eye(len(order))[[order.index(character) for character in text]]


@CHECKS.register("hello_vocabulary")
def hello_vocabulary() -> Iterable[float]:
    """Symbols of "hello"."""
    return [len(set("hello"))]


@CHECKS.register("hihello_one_hot")
def hihello_one_hot() -> Iterable[float]:
    """Symbols, input size and sequence length of "hihello", whose target is one character ahead."""
    text = "hihello"
    rows = one_hot(text[:-1], "hielo")
    return [len(set(text)), rows.shape[1], rows.shape[0]]


@CHECKS.register("sentence_sizes")
def sentence_sizes() -> Iterable[float]:
    """Distinct characters of the sentence, and the length of its input sequence."""
    return [len(set(SENTENCE)), len(SENTENCE) - 1]


@CHECKS.register("sentence_indices")
def sentence_indices() -> Iterable[float]:
    """The sentence as indices into the printed dictionary."""
    return [PRINTED_ORDER.index(character) for character in SENTENCE]


@CHECKS.register("ramp_shapes")
def ramp_shapes() -> Iterable[float]:
    """Shapes of the windows x (rows, steps) and targets y (rows, 1) of the ramp, and test rows."""
    starts = np.arange(ROWS)
    x = (starts[:, None] + np.arange(WINDOW)) / 100
    y = (starts + WINDOW)[:, None] / 100
    return [*x.shape, *y.shape, ROWS // 5]
