"""Deep-belief pre-training: restricted Boltzmann machines, layer by layer, then an MLP.

Comes in: examples with entries in [0, 1]; for the pre-training without labels. Goes out: logits.
"""

from collections.abc import Iterator, Sequence
from typing import Unpack

import torch
from torch import Tensor, nn

from lightning_modules.families import Common
from lightning_modules.initializers import initialize
from lightning_modules.layers import Dense, sizes
from lightning_modules.mlp import MLP
from lightning_modules.registry import FAMILIES

BATCH = 100


class RBM:
    """A restricted Boltzmann machine on a dense layer, whose weights and biases it trains in place.

    P(h = 1 | v) = sigmoid(W v + b), P(v = 1 | h) = sigmoid(W^T h + a) (Hinton, 2002).
    """

    def __init__(self, layer: nn.Linear) -> None:
        self.layer = layer
        self.visible_bias = layer.weight.new_zeros(layer.in_features)

    def hidden(self, v: Tensor) -> Tensor:
        """Return P(h = 1 | v). Shapes: (B, D) -> (B, H)."""
        return torch.sigmoid(self.layer(v))

    def visible(self, h: Tensor) -> Tensor:
        """Return P(v = 1 | h). Shapes: (B, H) -> (B, D)."""
        return torch.sigmoid(h @ self.layer.weight + self.visible_bias)

    def contrast(self, v: Tensor, *, rate: float, generator: torch.Generator) -> Tensor:
        """Take one step of contrastive divergence (CD-1); return the reconstruction error.

        W += rate (h v^T - h' v'^T) / B with v' = P(v | sampled h), h' = P(h | v').
        """
        before = self.hidden(v)
        draw = torch.rand(before.shape, generator=generator).to(v.device)
        again = self.visible((draw < before).to(v.dtype))
        after = self.hidden(again)
        scale = rate / len(v)
        self.layer.weight.add_(before.T @ v - after.T @ again, alpha=scale)
        self.layer.bias.add_((before - after).sum(0), alpha=scale)
        self.visible_bias.add_((v - again).sum(0), alpha=scale)
        return (v - again).square().mean()


@FAMILIES.register("rbm_mlp")
class PretrainedMLP(MLP):
    """An MLP of sigmoid units whose hidden layers are trained first, each as an RBM, greedily.

    (Hinton, Osindero and Teh, 2006.) Call `pretrain` with the training examples before the fit; a
    plain `pl.Trainer` that finds it was not called does it from its loader.

    Arguments: `pretrain_epochs` for each layer, `pretrain_rate` of contrastive divergence; the
    others as for `MLP`. The hidden layers start from N(0, 0.01^2) and biases of 0; `init` and
    `bias_init` are for the last layer, which nothing pre-trains.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        widths: Sequence[int] = (256, 256),
        pretrain_epochs: int = 5,
        pretrain_rate: float = 0.1,
        init: str = "xavier_uniform",
        bias_init: str = "zeros",
        keep_prob: float = 1.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(
            input_shape=input_shape,
            classes=classes,
            widths=widths,
            activation="sigmoid",
            init=init,
            bias_init=bias_init,
            keep_prob=keep_prob,
            **common,
        )
        if not 0 < pretrain_rate < float("inf"):
            raise ValueError(f"pretrain_rate: expected a number > 0, found {pretrain_rate!r}")
        self.pretrain_epochs = sizes("pretrain_epochs", (pretrain_epochs,))[0]
        self.pretrain_rate = pretrain_rate
        self.pretrained = False
        # Under the paths that the layers have in the network: the draws of an MLP of small weights.
        hidden = nn.ModuleDict({"linears": nn.ModuleList(self._hidden())})
        initialize(hidden, weight="normal_001", bias="zeros", seed=self.seed)

    @torch.no_grad()
    def pretrain(self, x: Tensor, y: Tensor | None = None) -> list[list[float]]:
        """Train every hidden layer as an RBM on the features of the one before; y is not looked at.

        Shapes: x (N, ...) with D entries per example. Returns, for each layer, the mean
        reconstruction error of every epoch. Draws from a generator of its own, by `seed`.
        """
        generator = torch.Generator().manual_seed(self.seed)
        features, errors = x.flatten(1), []
        for layer in self._hidden():
            rbm = RBM(layer)
            errors.append(
                [self._epoch(rbm, features, generator) for _ in range(self.pretrain_epochs)]
            )
            features = rbm.hidden(features)
        self.pretrained = True
        return errors

    def on_train_start(self) -> None:
        """Pre-train from the loader, where nobody has done so before."""
        if not self.pretrained:
            loader = self.trainer.train_dataloader
            x = torch.cat([batch[0] for batch in loader])  # type: ignore[union-attr]
            self.pretrain(x.to(self.device))

    def _epoch(self, rbm: RBM, features: Tensor, generator: torch.Generator) -> float:
        found = [
            rbm.contrast(v, rate=self.pretrain_rate, generator=generator)
            for v in _batches(features, generator)
        ]
        return float(torch.stack(found).mean())

    def _hidden(self) -> list[Dense]:
        *hidden, _ = (layer for layer in self.network.modules() if isinstance(layer, Dense))
        return hidden


def _batches(features: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
    order = torch.randperm(len(features), generator=generator).to(features.device)
    for rows in order.split(BATCH):
        yield features[rows]
