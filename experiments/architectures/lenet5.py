"""LeNet-5 (LeCun, Bottou, Bengio and Haffner, 1998): CONV-POOL-CONV-POOL-CONV-FC.

Comes in: images (B, 1, 32, 32). Goes out: logits (B, 10).
"""

from collections import OrderedDict

from torch import nn

INPUT = (1, 32, 32)


def lenet5() -> nn.Sequential:
    """Return the network: 32 -> 28 -> 14 -> 10 -> 5 -> 1, 61,706 parameters.

    Every map of the second convolution sees all six maps below it (the original leaves some out);
    activations and trainable pooling factors are left out, as they change no shape.
    """
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 6, 5),
            pool1=nn.AvgPool2d(2),
            conv2=nn.Conv2d(6, 16, 5),
            pool2=nn.AvgPool2d(2),
            conv3=nn.Conv2d(16, 120, 5),
            flat=nn.Flatten(),
            fc1=nn.Linear(120, 84),
            fc2=nn.Linear(84, 10),
        )
    )
