"""What happens between a loss and a step: clipping, accumulating, several optimizers, by hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .case import case
from .told import Batch, Net, Validated


@case(epochs=4, trainer={"accumulate_grad_batches": 2})
class Accumulated(Validated):
    """Gradients accumulated over batches."""

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        self.log("steps_taken", float(self.global_step))


@case(trainer={"gradient_clip_val": 0.05})
class ClippedByNorm(Validated):
    """Gradients clipped by their norm."""

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        norm = torch.stack([p.grad.norm() for p in self.parameters() if p.grad is not None]).norm()
        self.log("norm", norm)


@case(trainer={"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"})
class ClippedByValue(Validated):
    """Gradients clipped by their values."""


@case()
class ClippedByHand(Validated):
    """Clipping of one's own, through configure_gradient_clipping."""

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        value = 0.1 / (1 + self.current_epoch)
        self.clip_gradients(optimizer, gradient_clip_val=value, gradient_clip_algorithm="norm")


@case()
class TwoOptimizers(Net):
    """Two optimizers in manual optimisation, both of which count as steps."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.automatic_optimization = False

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        for optimizer in self.optimizers():  # type: ignore[union-attr]
            self.toggle_optimizer(optimizer)
            loss = self.loss(batch)
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
            self.untoggle_optimizer(optimizer)
        self.log("loss_seen", loss, on_epoch=True, on_step=False)
        self.log("steps_taken", float(self.global_step))

    def configure_optimizers(self) -> Any:
        first, last = self.network[1], self.network[3]  # type: ignore[index]
        return (
            torch.optim.SGD(first.parameters(), lr=self.rate),
            torch.optim.Adam(last.parameters(), lr=0.01),
        )


@case()
class AccumulatedByHand(Net):
    """Manual optimisation that accumulates and clips by itself."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.automatic_optimization = False

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        optimizer: Any = self.optimizers()
        loss = self.loss(batch) / 3
        self.manual_backward(loss)
        if (batch_idx + 1) % 3 == 0:
            self.clip_gradients(optimizer, gradient_clip_val=0.1, gradient_clip_algorithm="norm")
            optimizer.step()
            optimizer.zero_grad()
        return {"loss": loss.detach()}


@case()
class SharpnessAware(Net):
    """Two backward passes a step (SAM), in manual optimisation."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.automatic_optimization = False

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        optimizer: Any = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(self.loss(batch))
        moved = [0.05 * p.grad.sign() for p in self.parameters() if p.grad is not None]
        self._move(moved, 1.0)
        optimizer.zero_grad()
        loss = self.loss(batch)
        self.manual_backward(loss)
        self._move(moved, -1.0)
        optimizer.step()
        self.log("loss_seen", loss, on_step=False, on_epoch=True)

    def _move(self, moved: list[Tensor], sign: float) -> None:
        with torch.no_grad():
            for parameter, by in zip(self.parameters(), moved, strict=True):
                parameter.add_(by, alpha=sign)


@case()
class SecondOrder(Validated):
    """LBFGS, which evaluates the loss several times a step."""

    def configure_optimizers(self) -> Any:
        return torch.optim.LBFGS(self.parameters(), lr=self.rate, max_iter=3)


@case()
class Groups(Validated):
    """Groups of parameters with settings of their own."""

    def configure_optimizers(self) -> Any:
        biases = [p for name, p in self.named_parameters() if name.endswith("bias")]
        weights = [p for name, p in self.named_parameters() if name.endswith("weight")]
        groups = [{"params": weights, "weight_decay": 0.1}, {"params": biases, "lr": 0.01}]
        return torch.optim.AdamW(groups, lr=0.02)


@case()
class Fused(Validated):
    """An optimizer that does without Lightning's closure loss: it returns a dictionary."""

    def training_step(self, batch: Batch, batch_idx: int) -> Any:
        loss = self.loss(batch)
        self.log_dict({"loss_seen": loss, "twice": 2 * loss}, on_step=False, on_epoch=True)
        return {"loss": loss, "examples": len(batch[1])}

    def configure_optimizers(self) -> Any:
        return {"optimizer": torch.optim.Adam(self.parameters(), lr=0.02, fused=True)}


@case()
class SkippedSteps(Validated):
    """A training step that returns None to skip its batch."""

    def training_step(self, batch: Batch, batch_idx: int) -> Any:
        return None if batch_idx == 1 else super().training_step(batch, batch_idx)


@case(data="words")
class Tied(Net):
    """Weights tied between two layers, on sequences of symbols."""

    task = "sequence"

    def layers(self, inputs: int, outputs: int) -> nn.Module:
        embedding, out = nn.Embedding(outputs, 6), nn.Linear(6, outputs)
        out.weight = embedding.weight
        return nn.Sequential(embedding, nn.Linear(6, 6), nn.GELU(), out)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.network(x.long())
        return outputs

    def loss(self, batch: Batch) -> Tensor:
        x, y = batch
        return functional.cross_entropy(self(x).flatten(0, 1), y.flatten())


@case(epochs=4)
class Thawed(Validated):
    """Layers that are frozen at first and thawed in the third epoch."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.network[1].requires_grad_(False)  # type: ignore[index]

    def on_train_epoch_start(self) -> None:
        if self.current_epoch == 2:
            self.network[1].requires_grad_(True)  # type: ignore[index]

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=self.rate, momentum=0.5)


@case()
class OwnBackward(Validated):
    """Steps of one's own in backward and optimizer_zero_grad."""

    def backward(self, loss: Tensor, *given: Any, **named: Any) -> None:
        (2 * loss).backward()

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Any) -> None:
        optimizer.zero_grad(set_to_none=False)
