"""AlexNet as one tower (Krizhevsky, Sutskever and Hinton, 2012).

Comes in: images (B, 3, 227, 227). Goes out: logits (B, 1000).
"""

from collections import OrderedDict

from torch import nn

INPUT = (3, 227, 227)
WINDOW = 5  # channels over which the local response normalisation sums


def alexnet() -> nn.Sequential:
    """Return the network, without the split over two cards: 62,378,344 parameters.

    Activations and dropout are left out, as they change no shape.
    """
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 96, 11, stride=4),
            pool1=nn.MaxPool2d(3, stride=2),
            norm1=nn.LocalResponseNorm(WINDOW),
            conv2=nn.Conv2d(96, 256, 5, padding=2),
            pool2=nn.MaxPool2d(3, stride=2),
            norm2=nn.LocalResponseNorm(WINDOW),
            conv3=nn.Conv2d(256, 384, 3, padding=1),
            conv4=nn.Conv2d(384, 384, 3, padding=1),
            conv5=nn.Conv2d(384, 256, 3, padding=1),
            pool3=nn.MaxPool2d(3, stride=2),
            flat=nn.Flatten(),
            fc6=nn.Linear(6 * 6 * 256, 4096),
            fc7=nn.Linear(4096, 4096),
            fc8=nn.Linear(4096, 1000),
        )
    )
