"""Sigmoid, softmax and cross-entropy on the decks' small examples.

The decks take the logarithm to base 10 on one slide; the checks do as the slide does.
"""

from collections.abc import Iterable, Sequence
from math import exp, inf, log10, prod

from ablation_lab.study.checks import CHECKS
from experiments.checks.gates import sigmoid

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
