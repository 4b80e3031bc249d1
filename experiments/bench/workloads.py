"""What is measured: five networks of the lectures, as runs of the lab, on data of their shape.

Speed does not depend on the values of the data, so that images are drawn, not read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from experiments.data import DATASETS, Dataset, Part, TrainingData, load
from experiments.declaration.configuration import CONF, group_presets
from experiments.declaration.settings import Presets, resolve
from experiments.run import Run

ADAM = {"name": "adam", "learning_rate": 0.001}
DESCENT = {"name": "sgd", "learning_rate": 0.1}
# Examples of the drawn images: enough that a batch is not in the cache.
IMAGES = 6_000


@dataclass(frozen=True)
class Workload:
    """One network with its data set, and how many steps a measurement takes.

    ``flops`` are those of one example's forward and backward pass (six a weight and use).
    """

    name: str
    title: str
    model: dict[str, Any]
    data: str
    optimizer: dict[str, Any]
    batch_size: int | None
    steps: int
    loss: str = "stable"
    stacks: tuple[int, ...] = field(default=(1, 10))

    @property
    def dataset(self) -> Dataset:
        """Return the data set whose shape the inputs have."""
        return DATASETS.get(self.data)

    def runs(self, count: int, *, steps: int | None = None) -> list[Run]:
        """Return replicates 0 to ``count`` - 1 of this workload."""
        section = {
            "model": self.model,
            "data": {"name": self.data},
            "optimizer": self.optimizer,
            "training": {
                "steps": steps or self.steps,
                "batch_size": self.batch_size,
                "loss": self.loss,
            },
        }
        presets = Presets(model=group_presets("model", [CONF]), data=group_presets("data", [CONF]))
        config = resolve(section, [], presets, f"bench: {self.name}")
        return [
            Run("bench", "bench", self.name, n, f"{self.name}-{n}", 0, config, {})
            for n in range(count)
        ]

    def training_data(self) -> TrainingData:
        """Return XOR itself, or drawn images."""
        if self.data == "xor":
            return load("xor")[0]
        draw = np.random.default_rng(0)
        x = draw.random((IMAGES, *self.dataset.shape), dtype=np.float32)
        y = draw.integers(0, self.dataset.classes, IMAGES)
        return TrainingData(Part(x, y), Part(x[:100], y[:100]))


def _xor(name: str, title: str, widths: list[int]) -> Workload:
    model = {"family": "mlp", "widths": widths, "activation": "sigmoid", "init": "normal"}
    return Workload(
        name, title, model, "xor", DESCENT, None, 1_000, "printed", stacks=(1, 10, 100, 1000)
    )


XOR = _xor("xor", "XOR 2-10-10-10-1", [10, 10, 10])
MLP = Workload(
    "mlp",
    "MLP 784-256-256-10",
    {"family": "mlp", "widths": [256, 256]},
    "mnist",
    ADAM,
    100,
    120,
)
WORKLOADS = (
    XOR,
    _xor("xor9", "XOR, nine layers", [10, 10, 10, 5, 5, 5, 5, 5]),
    MLP,
    Workload(
        "dropout",
        "MLP 784-512×4-10, dropout",
        {"family": "mlp", "widths": [512] * 4, "keep_prob": 0.7},
        "mnist",
        ADAM,
        100,
        40,
    ),
    Workload(
        "cnn",
        "CNN 32-64",
        {"family": "convnet", "channels": [32, 64]},
        "mnist",
        ADAM,
        100,
        12,
        stacks=(1, 4),
    ),
)
