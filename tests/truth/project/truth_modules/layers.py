"""Layers with state of their own, and numbers that are not float32."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from .case import case
from .told import Batch, Net, Told, Validated


@case()
class BatchNorm(Validated):
    """Batch normalisation with running statistics."""

    def layers(self, inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(
            nn.Flatten(), nn.Linear(inputs, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, outputs)
        )


@case()
class FrozenNorm(BatchNorm):
    """Batch normalisation that stays in evaluation while the rest trains."""

    def on_train_epoch_start(self) -> None:
        self.network[2].eval()  # type: ignore[index]


@case(data="images")
class GroupNorm(Validated):
    """Convolutions with group normalisation and dropout."""

    def layers(self, inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.GroupNorm(2, 4),
            nn.SiLU(),
            nn.Dropout2d(0.3),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(16, outputs),
        )


@case()
class Dropped(Validated):
    """Dropout, whose masks come from torch's own generator."""

    def layers(self, inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(
            nn.Flatten(), nn.Linear(inputs, 8), nn.Dropout(0.4), nn.ReLU(), nn.Linear(8, outputs)
        )


@case()
class Lazy(Validated):
    """Lazy layers, whose sizes the first batch says."""

    def layers(self, inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(8), nn.Tanh(), nn.LazyLinear(outputs))


@case()
class ConfiguredModel(Told):
    """Layers that configure_model builds."""

    def __init__(self, *, input_shape: tuple[int, ...], classes: int, **_: Any) -> None:
        super().__init__()
        self.sizes = prod(input_shape), classes
        self.network: nn.Module | None = None

    def configure_model(self) -> None:
        if self.network is None:
            self.network = nn.Sequential(nn.Flatten(), nn.Linear(*self.sizes))

    def forward(self, x: Tensor) -> Tensor:
        assert self.network is not None
        outputs: Tensor = self.network(x)
        return outputs

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        x, y = batch
        return nn.functional.cross_entropy(self(x), y)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@case(data="words")
class Recurrent(Net):
    """A recurrent state that is carried from batch to batch, and begins anew in every epoch."""

    task = "sequence"

    def layers(self, inputs: int, outputs: int) -> nn.Module:
        self.read, self.cell = nn.Embedding(outputs, 6), nn.GRU(6, 6, batch_first=True)
        self.state: Tensor | None = None
        return nn.Linear(6, outputs)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.network(self.cell(self.read(x.long()))[0])
        return outputs

    def on_train_epoch_start(self) -> None:
        self.state = None

    def loss(self, batch: Batch) -> Tensor:
        x, y = batch
        hidden, state = self.cell(self.read(x.long()), self.state)
        self.state = state.detach()
        return nn.functional.cross_entropy(self.network(hidden).flatten(0, 1), y.flatten())


@case()
class Buffers(Validated):
    """Buffers of one's own, kept or not kept in the state."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.register_buffer("mean", torch.zeros(8))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.network[1](x.flatten(1))  # type: ignore[index]
        if self.training:
            self.mean.lerp_(hidden.detach().mean(0), 0.1)
            self.steps += 1
        outputs: Tensor = self.network[3](torch.tanh(hidden - self.mean))  # type: ignore[index]
        return outputs


@case()
class Spectral(Validated):
    """Parametrised weights: spectral norm, whose power iteration moves while it trains."""

    def layers(self, inputs: int, outputs: int) -> nn.Module:
        first = parametrizations.spectral_norm(nn.Linear(inputs, 8))
        last = parametrizations.weight_norm(nn.Linear(8, outputs))
        return nn.Sequential(nn.Flatten(), first, nn.Tanh(), last)


@case()
class Doubles(Validated):
    """A module in float64."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.double())


@case(trainer={"precision": "bf16-mixed"})
class MixedPrecision(Validated):
    """Mixed precision by the trainer."""


@case(trainer={"precision": "64-true"})
class DoubleByTrainer(Validated):
    """float64 by the trainer, whose batches are float64 too."""


@case(epochs=2)
class Compiled(Validated):
    """A network that torch.compile has compiled."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.network = torch.compile(self.network, backend="aot_eager")  # type: ignore[assignment]


@case()
class SparseGradients(Net):
    """Sparse gradients of an embedding, with an optimizer of their own."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.table = nn.EmbeddingBag(4, 8, mode="sum", sparse=True)
        self.automatic_optimization = False

    def forward(self, x: Tensor) -> Tensor:
        codes = (x > 0).long() + 2 * (x > 1).long()
        outputs: Tensor = self.network[3](self.table(codes))  # type: ignore[index]
        return outputs

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        optimizers: Any = self.optimizers()
        loss = self.loss(batch)
        for optimizer in optimizers:
            optimizer.zero_grad()
        self.manual_backward(loss)
        for optimizer in optimizers:
            optimizer.step()
        self.log("loss_seen", loss, on_step=False, on_epoch=True)

    def configure_optimizers(self) -> Any:
        return [
            torch.optim.SparseAdam(self.table.parameters(), lr=0.05),
            torch.optim.SGD(self.network[3].parameters(), lr=self.rate),  # type: ignore[index]
        ]
