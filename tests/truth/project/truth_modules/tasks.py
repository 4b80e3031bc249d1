"""Tasks beside classes: numbers, several labels, an order, masks, sequences, new examples."""

from __future__ import annotations

from typing import Any

import torch
import torchmetrics
from torch import Tensor, nn
from torch.nn import functional

from .case import case
from .told import Batch, Net, Told, Validated


@case()
class Measured(Validated):
    """Several test metrics, torchmetrics among them."""

    def __init__(self, *, classes: int, **settings: Any) -> None:
        super().__init__(classes=classes, **settings)
        self.train_right = torchmetrics.Accuracy("multiclass", num_classes=classes)
        self.right = torchmetrics.Accuracy("multiclass", num_classes=classes)
        self.f1 = torchmetrics.F1Score("multiclass", num_classes=classes, average="macro")

    def training_step(self, batch: Batch, batch_idx: int) -> Any:
        x, y = batch
        self.train_right(self(x), y)
        self.log("train_right", self.train_right, on_step=False, on_epoch=True)
        return super().training_step(batch, batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        x, y = batch
        outputs = self(x)
        self.right.update(outputs, y)
        self.f1.update(outputs, y)
        self.log("f1", self.f1)
        self.log("margin", outputs.amax(-1).mean())

    def on_test_epoch_end(self) -> None:
        self.log("right", self.right.compute())
        self.right.reset()


@case(data="line", metric="test_loss")
class Regression(Validated):
    """Regression, outputs and targets (B, 1)."""

    task = "regression"

    def loss(self, batch: Batch) -> Tensor:
        x, y = batch
        return functional.mse_loss(self(x), y)


@case(data="flat_line", metric="test_loss")
class FlatRegression(Regression):
    """Regression, outputs and targets (B,)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).squeeze(-1)


@case(data="line", metric="pinball")
class Quantiles(Net):
    """Quantile regression: more outputs than targets, measured by the module alone."""

    task = "own"

    def layers(self, inputs: int, outputs: int) -> nn.Module:
        self.register_buffer("shares", torch.tensor([0.1, 0.5, 0.9]))
        return super().layers(inputs, 3)

    def loss(self, batch: Batch) -> Tensor:
        x, y = batch
        beyond = y - self(x)
        return torch.maximum(self.shares * beyond, (self.shares - 1) * beyond).mean()

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        x, y = batch
        below, _, above = self(x).unbind(-1)
        self.log("pinball", self.loss(batch))
        self.log("covered", ((y[:, 0] >= below) & (y[:, 0] <= above)).float().mean())


@case(data="labels", metric="all_right")
class MultiLabel(Net):
    """Several labels for each example, with metrics of its own."""

    task = "own"

    def layers(self, inputs: int, outputs: int) -> nn.Module:
        return super().layers(inputs, 4)

    def loss(self, batch: Batch) -> Tensor:
        x, y = batch
        return functional.binary_cross_entropy_with_logits(self(x), y)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.log("own_val_loss", self.loss(batch))

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        x, y = batch
        self.log("all_right", ((self(x) > 0) == (y > 0.5)).all(-1).float().mean())


@case(data="line", metric="in_order")
class Ranking(Net):
    """Pairwise ranking: a score for each item, and the share of pairs in order."""

    task = "own"

    def pairs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        x, y = (each.flatten() for each in (self(batch[0]), batch[1]))
        first, second = torch.triu_indices(len(y), len(y), offset=1)
        return x[first] - x[second], (y[first] - y[second]).sign()

    def loss(self, batch: Batch) -> Tensor:
        difference, order = self.pairs(batch)
        return functional.softplus(-order * difference).mean()

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        difference, order = self.pairs(batch)
        self.log("in_order", (difference.sign() == order).float().mean())


@case(data="masks", metric="iou")
class Segmentation(Told):
    """Segmentation of 8 x 8 images: a class for every pixel."""

    task = "own"

    def __init__(self, *, input_shape: tuple[int, ...], classes: int, **_: Any) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Conv2d(input_shape[0], 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, classes, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.network(x)
        return outputs

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        x, y = batch
        return functional.cross_entropy(self(x), y)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        found, y = self(batch[0]).argmax(1), batch[1]
        both = ((found == 1) & (y == 1)).sum()
        self.log("iou", both / ((found == 1) | (y == 1)).sum().clamp(min=1))

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=0.02)


@case(data="words")
class Transformer(Net):
    """A tiny causal transformer."""

    task = "sequence"

    def layers(self, inputs: int, outputs: int) -> nn.Module:
        self.read = nn.Embedding(outputs, 8)
        self.places = nn.Parameter(0.02 * torch.randn(inputs, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.blocks = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        return nn.Linear(8, outputs)

    def forward(self, x: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        hidden = self.blocks(self.read(x.long()) + self.places, mask=mask, is_causal=True)
        outputs: Tensor = self.network(hidden)
        return outputs

    def loss(self, batch: Batch) -> Tensor:
        x, y = batch
        return functional.cross_entropy(self(x).flatten(0, 1), y.flatten())

    def configure_optimizers(self) -> Any:
        return torch.optim.AdamW(self.parameters(), lr=0.01)


@case(data="images", metric="test_distance")
class Adversarial(Told):
    """Two networks against each other, with two optimizers."""

    task = "generation"

    def __init__(self, *, input_shape: tuple[int, ...], **_: Any) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.shape, size = tuple(input_shape), torch.Size(input_shape).numel()
        self.generator = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, size))
        self.critic = nn.Sequential(nn.Flatten(), nn.Linear(size, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.generator(x.flatten(1)[:, :4])
        return made.view(-1, *self.shape)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        x, _ = batch
        makes, judges = self.optimizers()  # type: ignore[misc]
        made = self(torch.randn(len(x), 4))
        self._step(judges, functional.softplus(self.critic(made.detach()) - self.critic(x)).mean())
        loss = functional.softplus(-self.critic(made)).mean()
        self._step(makes, loss)
        self.log("loss_seen", loss, on_step=False, on_epoch=True)

    def _step(self, optimizer: Any, loss: Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()

    def configure_optimizers(self) -> Any:
        return [
            torch.optim.Adam(self.generator.parameters(), lr=0.01, betas=(0.5, 0.9)),
            torch.optim.Adam(self.critic.parameters(), lr=0.01, betas=(0.5, 0.9)),
        ], []


@case(data="images", metric="test_loss")
class Vae(Told):
    """A variational autoencoder, which draws in its steps."""

    task = "reconstruction"

    def __init__(self, *, input_shape: tuple[int, ...], **_: Any) -> None:
        super().__init__()
        size = torch.Size(input_shape).numel()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(size, 4))
        self.decoder = nn.Sequential(nn.Linear(2, size), nn.Unflatten(1, tuple(input_shape)))

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, spread = self.encoder(x).chunk(2, -1)
        drawn = mean + spread.exp() * torch.randn_like(spread)
        distance = 0.5 * (mean.square() + (2 * spread).exp() - 1 - 2 * spread).sum(-1).mean()
        return self.decoder(drawn), distance

    def forward(self, x: Tensor) -> Tensor:
        return self.parts(x)[0]

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        made, distance = self.parts(batch[0])
        error = functional.mse_loss(made, batch[0], reduction="sum") / len(made)
        self.log_dict({"error": error, "distance": distance})
        return error + distance

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=0.01)


@case()
class Distilled(Net):
    """A frozen teacher inside the module, which no optimizer sees."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.teacher = self.layers(6, 3).eval().requires_grad_(False)

    def loss(self, batch: Batch) -> Tensor:
        x, _ = batch
        told = self.teacher(x).softmax(-1)
        return functional.cross_entropy(self(x), told)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.network.parameters(), lr=self.rate)


@case(data="images", metric="contrast")
class Contrastive(Net):
    """Two views of every example, compared with each other; there are no outputs to measure."""

    task = "own"

    def loss(self, batch: Batch) -> Tensor:
        x, _ = batch
        one, two = (
            functional.normalize(self(x + 0.1 * torch.randn_like(x)), dim=-1) for _ in range(2)
        )
        return functional.cross_entropy(one @ two.T / 0.1, torch.arange(len(x)))

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.log("contrast", self.loss(batch))
