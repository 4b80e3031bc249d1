"""A linear classifier on reduced features.

Comes in: images or vectors. Goes out: logits.
"""

import math
from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor, nn

from lightning_modules.classifier import Classifier, Common
from lightning_modules.layers import sizes
from lightning_modules.mlp import MLPNetwork
from lightning_modules.registry import FAMILIES, REDUCTIONS


class ReducedNetwork(nn.Module):
    """logits = W r(x) + b, with a reduction r that is found before the fit and then stays."""

    def __init__(self, *, width: int, outputs: int) -> None:
        super().__init__()
        self.reduction: nn.Module | None = None
        self.classify = MLPNetwork(inputs=width, outputs=outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits. Shapes: (B, ...) with D entries per example -> (B, C)."""
        if self.reduction is None:
            raise RuntimeError("the reduction is not there yet: call pretrain(x, y) before the fit")
        logits: Tensor = self.classify(self.reduction(x.flatten(1)))
        return logits


@FAMILIES.register("reduced")
class Reduced(Classifier):
    """Softmax (or logistic) regression on `width` features that a `reduction` makes.

    Call `pretrain` with the training examples before the fit; a plain `pl.Trainer` that finds it
    was not called does it from its loader.

    Arguments: `reduction` one of `reductions`; `width` how many features; the others as for
    `Classifier`.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        reduction: str = "pca",
        width: int = 2,
        init: str = "xavier_uniform",
        bias_init: str = "zeros",
        **common: Unpack[Common],
    ) -> None:
        self.entries = math.prod(sizes("input_shape", input_shape))
        network = ReducedNetwork(
            width=sizes("width", (width,))[0], outputs=sizes("classes", (classes,))[0]
        )
        super().__init__(
            network=network,
            classes=classes,
            init=init,
            bias_init=bias_init,
            **common,
        )
        if width > self.entries:
            raise ValueError(f"width: expected at most the {self.entries} entries, found {width}")
        self.reduced = network
        self.width = width
        self.reduce = REDUCTIONS.get(reduction)

    @torch.no_grad()
    def pretrain(self, x: Tensor, y: Tensor) -> None:
        """Find the reduction from training examples (N, ...) and labels (N,)."""
        self.reduced.reduction = self.reduce(x.flatten(1), y, self.width, self.seed)

    def on_train_start(self) -> None:
        """Find it from the loader, where nobody has done so before."""
        if self.reduced.reduction is None:
            batches = list(self.trainer.train_dataloader)  # type: ignore[arg-type]
            x, y = (torch.cat([batch[part] for batch in batches]) for part in (0, 1))
            self.pretrain(x.to(self.device), y.to(self.device))
