"""What the decks compute by hand: gates and the printed XOR network, cross-entropy, detection.

Comes in: nothing; weights, scores and tables as they are printed. Goes out: numbers. The decks take
the logarithm to base 10 on one slide; the checks do as the slide does. The table of VOC 2010 is
quoted from Girshick, Donahue, Darrell and Malik (CVPR 2014), as the decks quote it: average
precision in percent of the 20 classes, in the order of the table.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import product
from math import exp, inf, log10, prod
from statistics import fmean

from ablation_lab.study.metric import CHECKS

ROWS = tuple(product((0, 1), repeat=2))
# Weights and bias of the two hidden units and of the output of the printed XOR network.
FIRST, SECOND, OUTPUT = ((5, 5), -8), ((-7, -7), 3), ((-11, -11), 6)
Unit = tuple[Sequence[float], float]


def sigmoid(z: float) -> float:
    """Return 1 / (1 + e^-z)."""
    return 1 / (1 + exp(-z))


def activation(unit: Unit, x: Sequence[float]) -> float:
    """Return w·x + b, the pre-activation of a unit."""
    weights, bias = unit
    return sum(w * value for w, value in zip(weights, x, strict=True)) + bias


def gate(bias: float) -> Iterable[float]:
    """Pre-activations, then outputs of a step unit with weights (1, 1) and a bias."""
    z = [activation(((1, 1), bias), x) for x in ROWS]
    return [*z, *(float(value > 0) for value in z)]


CHECKS.register("and_gate")(partial(gate, -1.5))
CHECKS.register("or_gate")(partial(gate, -0.5))


def pre_activations(x: Sequence[float]) -> tuple[float, float, float]:
    """Return z of the hidden units and of the output; the slide rounds the hidden ones to 0 or 1.

    Without rounding the output at (0, 0) is 0.011184 instead of 0.006693.
    """
    first, second = activation(FIRST, x), activation(SECOND, x)
    hidden = (round(sigmoid(first)), round(sigmoid(second)))
    return first, second, activation(OUTPUT, hidden)


def xor_row(x: Sequence[float]) -> Iterable[float]:
    """Give z and sigmoid(z) of both hidden units and of the output, at one point."""
    return [value for z in pre_activations(x) for value in (z, sigmoid(z))]


CHECKS.register("xor_handmade_00")(partial(xor_row, (0, 0)))
CHECKS.register("xor_handmade_01")(partial(xor_row, (0, 1)))
CHECKS.register("xor_handmade_10")(partial(xor_row, (1, 0)))
CHECKS.register("xor_handmade_11")(partial(xor_row, (1, 1)))


@CHECKS.register("xor_handmade")
def xor_handmade() -> Iterable[float]:
    """The three pre-activations of each row, then the outputs of the four rows, as 0 or 1."""
    rows = [pre_activations(x) for x in ROWS]
    return [*(z for row in rows for z in row), *(round(sigmoid(row[2])) for row in rows)]


@CHECKS.register("xor_handmade_columns")
def xor_handmade_columns() -> Iterable[float]:
    """The pre-activations of the four rows: first hidden unit, second hidden unit, output."""
    rows = [pre_activations(x) for x in ROWS]
    return [row[unit] for unit in range(3) for row in rows]


SCORES = (2.0, 1.0, 0.1)
# The probabilities that two models give to what happened.
BAD_MODEL, GOOD_MODEL = (0.6, 0.2, 0.1, 0.7), (0.7, 0.9, 0.8, 0.6)


def term(label: float, probability: float) -> float:
    """Return -y log10(p), with 0 log(0) = 0."""
    if label == 0:
        return 0.0
    return inf if probability == 0 else -label * log10(probability)


def cross_entropy(label: Sequence[float], probability: Sequence[float]) -> float:
    """Return -sum_i y_i log10(p_i)."""
    return sum(term(y, p) for y, p in zip(label, probability, strict=True))


@CHECKS.register("sigmoid_of_scores")
def sigmoid_of_scores() -> Iterable[float]:
    """sigmoid(2.0), sigmoid(1.0), sigmoid(0.1)."""
    return [sigmoid(z) for z in SCORES]


@CHECKS.register("softmax_of_scores")
def softmax_of_scores() -> Iterable[float]:
    """softmax(2.0, 1.0, 0.1) in this order; the slide lists it reversed."""
    powers = [exp(z) for z in SCORES]
    return [power / sum(powers) for power in powers]


@CHECKS.register("cross_entropy_one_hot")
def cross_entropy_one_hot() -> Iterable[float]:
    """The cost of a right and of a wrong one-hot prediction, for either label."""
    first, second = (0.0, 1.0), (1.0, 0.0)
    return [cross_entropy(y, p) for y, p in ((first, first), (first, second),
                                             (second, second), (second, first))]  # fmt: skip


@CHECKS.register("likelihood_products")
def likelihood_products() -> Iterable[float]:
    """The likelihoods of a bad and of a good model."""
    return [prod(BAD_MODEL), prod(GOOD_MODEL)]


@CHECKS.register("log_terms_bad_model")
def log_terms_bad_model() -> Iterable[float]:
    """log10 of each factor of the bad model."""
    return [log10(p) for p in BAD_MODEL]


@CHECKS.register("cross_entropy_bad_model")
def cross_entropy_bad_model() -> Iterable[float]:
    """-sum log10 p of the bad model (with the natural logarithm 4.7795)."""
    return [sum(term(1, p) for p in BAD_MODEL)]


@CHECKS.register("cross_entropy_good_model")
def cross_entropy_good_model() -> Iterable[float]:
    """-sum log10 p of the good model (with the natural logarithm 1.1960)."""
    return [sum(term(1, p) for p in GOOD_MODEL)]


DPM_V5 = (49.2, 53.8, 13.1, 15.3, 35.5, 53.4, 49.7, 27.0, 17.2, 28.8,
          14.7, 17.8, 46.4, 51.2, 47.7, 10.8, 34.2, 20.7, 43.8, 38.3)  # fmt: skip
UVA = (56.2, 42.4, 15.3, 12.6, 21.8, 49.3, 36.8, 46.1, 12.9, 32.1,
       30.0, 36.5, 43.5, 52.9, 32.9, 15.3, 41.1, 31.8, 47.0, 44.8)  # fmt: skip
REGIONLETS = (65.0, 48.9, 25.9, 24.6, 24.5, 56.1, 54.5, 51.2, 17.0, 28.9,
              30.2, 35.8, 40.2, 55.7, 43.5, 14.3, 43.9, 32.6, 54.0, 45.9)  # fmt: skip
SEGDPM = (61.4, 53.4, 25.6, 25.2, 35.5, 51.7, 50.6, 50.8, 19.3, 33.8,
          26.8, 40.4, 48.3, 54.4, 47.1, 14.8, 38.7, 35.0, 52.8, 43.1)  # fmt: skip
RCNN = (67.1, 64.1, 46.7, 32.0, 30.5, 56.4, 57.2, 65.9, 27.0, 47.3,
        40.9, 66.6, 57.8, 65.9, 53.6, 26.7, 56.5, 38.1, 52.8, 50.2)  # fmt: skip
RCNN_BOXES = (71.8, 65.8, 53.0, 36.8, 35.9, 59.7, 60.0, 69.9, 27.9, 50.6,
              41.4, 70.0, 62.0, 69.0, 58.1, 29.5, 59.4, 39.3, 61.2, 52.4)  # fmt: skip
IMAGES, CROPS, SECONDS_PER_CROP = 10_000, 2_000, 0.01


def mean_precision(by_class: Sequence[float]) -> Iterable[float]:
    """Mean over the classes."""
    return [fmean(by_class)]


CHECKS.register("voc2010_dpm_v5")(partial(mean_precision, DPM_V5))
CHECKS.register("voc2010_uva")(partial(mean_precision, UVA))
CHECKS.register("voc2010_regionlets")(partial(mean_precision, REGIONLETS))
CHECKS.register("voc2010_segdpm")(partial(mean_precision, SEGDPM))
CHECKS.register("voc2010_rcnn")(partial(mean_precision, RCNN))
CHECKS.register("voc2010_rcnn_boxes")(partial(mean_precision, RCNN_BOXES))


@CHECKS.register("rcnn_boxes_gain")
def rcnn_boxes_gain() -> Iterable[float]:
    """Both means, how many classes gain, and the two-sided p of the sign test over the classes."""
    from scipy.stats import binomtest

    gains = sum(after > before for before, after in zip(RCNN, RCNN_BOXES, strict=True))
    return [fmean(RCNN), fmean(RCNN_BOXES), gains, float(binomtest(gains, len(RCNN)).pvalue)]


@CHECKS.register("rcnn_time")
def rcnn_time() -> Iterable[float]:
    """Seconds and hours for 10,000 images of 2,000 crops at 10 ms a crop."""
    seconds = IMAGES * CROPS * SECONDS_PER_CROP
    return [seconds, seconds / 3600]
