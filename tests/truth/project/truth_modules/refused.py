"""What the lab does not train, and says so in one line before it trains anything."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader

from .case import case
from .data import part
from .told import Net, Told, Validated


@case(refusal="has a train_dataloader of its own, which would be ignored")
class OwnLoaders(Validated):
    """train_dataloader and the like in the module"""

    def train_dataloader(self) -> Any:
        return DataLoader(part("train"), 8)


@case(refusal="expected outputs that are a tensor, found a tuple")
class TupleOutputs(Net):
    """Outputs that are no tensor, without an answer() or `task = 'own'`"""

    def forward(self, x: Tensor) -> Any:
        return super().forward(x), x


@case(data="line", metric="test_loss", refusal="(2,)")
class Broadcasting(Net):
    """Outputs and targets that only broadcasting would fit"""

    task = "regression"

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).squeeze(-1)


@case(refusal="expected 3 logits for each label, found 2")
class TooFewLogits(Net):
    """Fewer logits than classes"""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[:, :2]


@case(trainer={"callbacks": []}, refusal="training.trainer.callbacks: the lab gives it; return")
class CallbacksOfTheTrainer(Validated):
    """Callbacks as an argument of the trainer: a module returns its own"""


@case(trainer={"logger": True}, refusal="training.trainer.logger: the lab gives it; leave it out")
class LoggerOfTheTrainer(Validated):
    """A logger of one's own: what a module logs is in MLflow"""


@case(trainer={"devices": 2}, refusal="training.trainer.devices: the lab gives it; use engine")
class DevicesOfTheTrainer(Validated):
    """Devices and strategies: the engine chooses them"""


@case(trainer={"limit_test_batches": 1}, refusal="all is scored; leave it out")
class PartOfTheTest(Validated):
    """A part of the test set"""


@case(trainer={"gradient_clip_algorithm": "sideways"}, refusal="sideways")
class WhatLightningRefuses(Validated):
    """Arguments that Lightning itself refuses"""


@case(refusal="optimizer")
class Closed(Told):
    """A class that does not take what every family is given, or **_"""

    def __init__(self, *, input_shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
