"""Statements of the decks that another slide, or the data, contradicts."""

from collections.abc import Iterable

from ablation_lab.data import cifar, mnist  # noqa: F401 - they declare the data sets
from ablation_lab.data.dataset import DATASETS
from ablation_lab.study.checks import CHECKS

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
