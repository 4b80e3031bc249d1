"""Settings of the decks' recipes, measured on the parts that this lab builds from them."""

from collections.abc import Iterable
from math import sqrt

import numpy as np
import torch
from torch import nn

from ablation_lab.study.metric import CHECKS
from ablation_lab.study.run import Combination
from ablation_lab.training.ensemble import combine
from ablation_lab.training.schedule import steps_per_epoch
from experiments.checks.by_hand import sigmoid
from experiments.data.toys import POINTS6
from lightning_modules.initializers import fans, he_normal, xavier_uniform
from lightning_modules.layers import dropout
from lightning_modules.mlp import Linear
from lightning_modules.registry import OPTIMIZERS
from lightning_modules.tf_optimizers import ftrl  # noqa: F401 - the file registers more

SHAPE = (256, 784)  # (out, in) of the first layer of the decks' MNIST networks
# Votes of three classifiers for four classes.
VOTES = ((0.1, 0.01, 0.02, 0.8), (0.01, 0.5, 0.02, 0.4), (0.01, 0.01, 0.1, 0.7))


@CHECKS.register("iterations_per_epoch")
def iterations_per_epoch() -> Iterable[float]:
    """Steps of one epoch: 1,000 examples in batches of 500."""
    return [steps_per_epoch(1000, 500)]


@CHECKS.register("l2_coefficient")
def l2_coefficient() -> Iterable[float]:
    """What l2 = 0.001 adds to the cost, over the sum of the squared weights."""
    plain, penalised = (Linear(input_shape=(4,), classes=3, l2=l2).double() for l2 in (0, 0.001))
    x, y = torch.ones(2, 4, dtype=torch.float64), torch.tensor([0, 2])
    with torch.no_grad():
        added = penalised.objective(x, y) - plain.objective(x, y)
        return [float(added / penalised.squared_weights())]


@CHECKS.register("keep_prob_07")
def keep_prob_07() -> Iterable[float]:
    """Probability to keep a unit in training, and what is left of a unit in evaluation."""
    return _kept(0.7)


@CHECKS.register("keep_prob_09")
def keep_prob_09() -> Iterable[float]:
    """Probability to keep a unit in training."""
    return _kept(0.9)[:1]


@CHECKS.register("xavier_spread")
def xavier_spread() -> Iterable[float]:
    """Standard deviation of Glorot's weights (784 in, 256 out) in units of 1/sqrt(fan_in)."""
    weight = torch.empty(SHAPE)
    xavier_uniform(weight, generator=torch.Generator().manual_seed(0))
    return [float(weight.std()) * sqrt(fans(weight)[0])]


@CHECKS.register("he_spread")
def he_spread() -> Iterable[float]:
    """Standard deviation of He's weights (784 in, 256 out) in units of sqrt(2/fan_in)."""
    weight = torch.empty(SHAPE)
    he_normal(weight, generator=torch.Generator().manual_seed(0))
    return [float(weight.std()) * sqrt(fans(weight)[0] / 2)]


@CHECKS.register("optimizers_offered")
def optimizers_offered() -> Iterable[float]:
    """How many of the decks' ten optimisers this lab offers."""
    # GradientDescent, Momentum, Adadelta, Adagrad, AdagradDA, Adam, Ftrl, RMSProp and both
    # proximal ones, each by the name that steps as TensorFlow 1 does: torch's own Adam and RMSProp
    # have other formulas. Named here, so that the key of the run covers those that are offered.
    ten = ("sgd", "momentum", "adadelta", "adagrad", "adagrad_da", "adam_tf", "ftrl", "rmsprop_tf",
           "proximal_gd", "proximal_adagrad")  # fmt: skip
    return [len(set(ten) & set(OPTIMIZERS.names()))]


@CHECKS.register("ensemble_sum")
def ensemble_sum() -> Iterable[float]:
    """The summed votes of the three printed classifiers, and the class that wins."""
    total = combine(np.array(VOTES, dtype=np.float32)[:, None, :], Combination.SUM_LOGITS)[0]
    return [*total.tolist(), int(total.argmax())]


@CHECKS.register("logistic_6_points_predictions")
def logistic_6_points_predictions() -> Iterable[float]:
    """sigmoid(w·x + b) on the six points, with the printed weights."""
    w, b = (1.4663278, 0.3097024), -5.5251
    return [sigmoid(w[0] * hours + w[1] * attendance + b) for hours, attendance in POINTS6[0]]


def _kept(keep_prob: float) -> list[float]:
    layer = dropout(keep_prob)
    assert isinstance(layer, nn.Dropout)
    return [1 - layer.p, float(layer.eval()(torch.ones(1)))]
