"""FitNet-4, the thin and deep network of the LSUV table (Romero et al., 2015).

Comes in: images, at least 4 x 4. Goes out: logits.
"""

from collections.abc import Sequence
from typing import Unpack

from torch import Tensor, nn
from torch.nn import functional

from lightning_modules.activations import activation_along, maxout, pieces
from lightning_modules.convnet import CHANNEL_AXIS, image_shape, mirror_and_crop
from lightning_modules.families import Classifier, Common
from lightning_modules.layers import Convolution, Dense, dropout, sizes
from lightning_modules.registry import FAMILIES

# Channels of the 3 x 3 convolutions of each stage; a pool ends each of them.
STAGES = ((32, 32, 32, 48, 48), (80, 80, 80, 80, 80, 80), (128, 128, 128, 128, 128, 128))
UNITS = 500
DENSE_PIECES = 5


class FitNetNetwork(nn.Module):
    """17 convolutions in three stages, two 2 x 2 maximum pools, a global one, 500 units, logits.

    `keep_prob` applies to the input, after each pool, and after the 500 units. With maxout a
    convolution has 2 pieces and the dense layer 5.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, int, int],
        outputs: int,
        activation: str,
        keep_prob: float,
        stages: Sequence[Sequence[int]],
        units: int,
    ) -> None:
        super().__init__()
        self.input_shape = shape
        self.activate_maps = activation_along(activation, CHANNEL_AXIS)
        self.activate = activation_along(activation, -1)
        self.dense_pieces = DENSE_PIECES if pieces(activation) > 1 else 1
        self.dropout = dropout(keep_prob)
        depth, built = shape[0], []
        for channels in stages:
            layers = []
            for channel in channels:
                layers.append(
                    Convolution(depth, channel, kernel=3, bias=True, pieces=pieces(activation))
                )
                depth = channel
            built.append(nn.ModuleList(layers))
        self.stages = nn.ModuleList(built)
        self.hidden = Dense(depth, units, pieces=self.dense_pieces)
        self.last = Dense(units, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits. Shapes: (B, channels, H, W) or flat (B, D) -> (B, C)."""
        maps = self.dropout(x.reshape(x.shape[0], *self.input_shape))
        for number, stage in enumerate(self.stages):
            for convolution in stage:  # type: ignore[attr-defined]
                maps = self.activate_maps(convolution(maps))
            ends = number == len(self.stages) - 1
            pooled = maps.amax((2, 3)) if ends else functional.max_pool2d(maps, 2)
            maps = self.dropout(pooled)
        h = self.hidden(maps)
        # The registered maxout has 2 pieces; here there are 5.
        h = maxout(h, pieces=self.dense_pieces) if self.dense_pieces > 1 else self.activate(h)
        logits: Tensor = self.last(self.dropout(h))
        return logits


@FAMILIES.register("fitnet")
class FitNet(Classifier):
    """FitNet-4: 1,276,806 parameters for (3, 32, 32) and 10 classes, 2,742,102 with maxout.

    Arguments: `stages` and `units` make it smaller, for tests; `augment` mirrors and moves the
    training images (`augmentation`); the others as for `Classifier`.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        activation: str = "relu",
        init: str = "lsuv",
        bias_init: str = "zeros",
        keep_prob: float = 0.8,
        augment: bool = False,
        stages: Sequence[Sequence[int]] = STAGES,
        units: int = UNITS,
        **common: Unpack[Common],
    ) -> None:
        network = FitNetNetwork(
            shape=image_shape(input_shape),
            outputs=sizes("classes", (classes,))[0],
            activation=activation,
            keep_prob=keep_prob,
            stages=[sizes("stages", stage) for stage in stages],
            units=sizes("units", (units,))[0],
        )
        super().__init__(
            network=network,
            classes=classes,
            init=init,
            bias_init=bias_init,
            **common,
        )
        self.augment = augment

    def prepare(self, x: Tensor) -> None:
        """Prepare with images as training sees them: LSUV's batch is a changed one, too."""
        super().prepare(mirror_and_crop(x) if self.augment else x)

    def objective(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the objective of `Classifier`, in training on changed images if asked for."""
        return super().objective(mirror_and_crop(x) if self.augment and self.training else x, y)
