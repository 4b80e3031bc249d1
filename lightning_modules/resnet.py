"""Residual networks for small images (He et al., 2016, section 4.2).

Comes in: images. Goes out: logits.
"""

from collections.abc import Sequence
from typing import Unpack

from torch import Tensor, nn
from torch.nn import functional

from lightning_modules.convnet import image_shape, mirror_and_crop
from lightning_modules.families import Classifier, Common
from lightning_modules.layers import Dense, sizes
from lightning_modules.registry import FAMILIES

STAGES = 3


class StridedConvolution(nn.Conv2d):
    """A 3 x 3 convolution without bias, padded by 1, of stride 1 or 2."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride=stride, padding=1, bias=False)

    def reset_parameters(self) -> None:
        """Draw nothing: the values come from `initialize`, the global random state stays."""


class Block(nn.Module):
    """relu(x' + bn(conv(relu(bn(conv(x)))))), with a shortcut x' without parameters ("option A").

    x' is x, or, where the size halves, x at every second pixel with channels of zeros added.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.stride = 1 if inputs == outputs else 2
        self.added = outputs - inputs
        self.first = StridedConvolution(inputs, outputs, stride=self.stride)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = StridedConvolution(outputs, outputs)
        self.second_norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps, at half the size where the channels double."""
        h = functional.relu(self.first_norm(self.first(x)))
        h = self.second_norm(self.second(h))
        short = x[:, :, :: self.stride, :: self.stride]
        return functional.relu(h + functional.pad(short, (0, 0, 0, 0, 0, self.added)))


class ResNetNetwork(nn.Module):
    """A convolution, three stages of blocks with `width` channels times 1, 2, 4, mean, logits."""

    def __init__(
        self, *, shape: tuple[int, int, int], outputs: int, blocks: int, width: int
    ) -> None:
        super().__init__()
        self.input_shape = shape
        self.stem = StridedConvolution(shape[0], width)
        self.stem_norm = nn.BatchNorm2d(width)
        depths = [width] + [width * 2**stage for stage in range(STAGES) for _ in range(blocks)]
        self.blocks = nn.Sequential(
            *(Block(depths[i], depths[i + 1]) for i in range(STAGES * blocks))
        )
        self.last = Dense(depths[-1], outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits. Shapes: (B, channels, H, W) or flat (B, D) -> (B, C)."""
        maps = x.reshape(x.shape[0], *self.input_shape)
        maps = self.blocks(functional.relu(self.stem_norm(self.stem(maps))))
        logits: Tensor = self.last(maps.mean((2, 3)))
        return logits


@FAMILIES.register("resnet")
class ResNet(Classifier):
    """A residual network of 6 `blocks` + 2 layers: ResNet-20 for 3 blocks, 269,722 parameters.

    Arguments: `blocks` of each stage; `width` of the first one; `augment` mirrors and moves the
    training images (`augmentation`); the others as for `Classifier`.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        blocks: int = 3,
        width: int = 16,
        init: str = "he_normal",
        bias_init: str = "zeros",
        augment: bool = False,
        **common: Unpack[Common],
    ) -> None:
        network = ResNetNetwork(
            shape=image_shape(input_shape),
            outputs=sizes("classes", (classes,))[0],
            blocks=sizes("blocks", (blocks,))[0],
            width=sizes("width", (width,))[0],
        )
        super().__init__(
            network=network,
            classes=classes,
            init=init,
            bias_init=bias_init,
            **common,
        )
        self.augment = augment

    def objective(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the objective of `Classifier`, in training on changed images if asked for."""
        return super().objective(mirror_and_crop(x) if self.augment and self.training else x, y)
