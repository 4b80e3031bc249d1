"""What is measured: five networks of the lectures, as runs of the lab, on data of their shape.

Speed does not depend on the values of the data, so that images are drawn, not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ablation_lab.data import DATASETS, Dataset, Part, TrainingData, load
from ablation_lab.study.networks import inputs
from ablation_lab.study.run import Run
from ablation_lab.study.settings import resolve
from ablation_lab.training.cost import step_work

ADAM = {"name": "adam", "learning_rate": 0.001}
DESCENT = {"name": "sgd", "learning_rate": 0.1}
# Examples of the drawn images: enough that a batch is not in the cache.
IMAGES = 6_000


@dataclass(frozen=True)
class Workload:
    """One network with its data set, and how many steps a measurement takes.

    ``stacks`` are the sizes of stacks that are measured, each with the steps that one takes.
    """

    name: str
    title: str
    model: dict[str, Any]
    data: str
    optimizer: dict[str, Any]
    batch_size: int | None
    steps: int
    stacks: Mapping[int, int]
    loss: str = "stable"

    @property
    def dataset(self) -> Dataset:
        """Return the data set whose shape the inputs have."""
        return DATASETS.get(self.data)

    @property
    def operations(self) -> int:
        """Return the additions and multiplications of the products of a step.

        Two for each multiply-add, of which a weight has three in a step: forward, and one for each
        gradient; but those of the first layer have two, because nothing asks for the gradient of
        the inputs.
        """
        config = self.runs(1)[0].config
        model, batch = config["model"], self.batch_size or self.dataset.examples
        if model["family"] == "convnet":
            first = inputs(config) * model["channels"][0] * model["kernel"] ** 2
        else:
            first = inputs(config) * model["widths"][0]
        return 6 * step_work(config) - 2 * int(first) * batch

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
        return replicates(self.name, section, count)

    def training_data(self) -> TrainingData:
        """Return XOR itself, or drawn images."""
        return load("xor")[0] if self.data == "xor" else drawn(self.dataset, IMAGES)


def replicates(name: str, section: Mapping[str, Any], count: int) -> list[Run]:
    """Return replicates 0 to ``count`` - 1 of what the ``run`` section of a study would declare."""
    config = resolve(section, [], f"bench: {name}")
    return [Run("bench", "bench", name, n, f"{name}-{n}", 0, config, {}) for n in range(count)]


def drawn(dataset: Dataset, examples: int, *, validation: int = 100) -> TrainingData:
    """Return random examples of a data set's shape, the first of them for validation too."""
    draw = np.random.default_rng(0)
    x = draw.random((examples, *dataset.shape), dtype=np.float32)
    y = draw.integers(0, dataset.classes, examples)
    return TrainingData(Part(x, y), Part(x[:validation], y[:validation]))


def _xor(name: str, title: str, widths: list[int]) -> Workload:
    model = {"family": "mlp", "widths": widths, "activation": "sigmoid", "init": "normal"}
    sizes = dict.fromkeys((1, 10, 100, 1000), 1_000)
    return Workload(name, title, model, "xor", DESCENT, None, 1_000, sizes, "unclipped")


def _images(
    name: str, title: str, model: dict[str, Any], *, steps: int, stacks: Mapping[int, int]
) -> Workload:
    return Workload(name, title, model, "mnist", ADAM, 100, steps, stacks)


XOR = _xor("xor", "XOR 2-10-10-10-1", [10, 10, 10])
MLP = _images(
    "mlp",
    "MLP 784-256-256-10",
    {"family": "mlp", "widths": [256, 256]},
    steps=120,
    stacks={1: 120, 10: 20, 100: 4, 1000: 1},
)
WORKLOADS = (
    XOR,
    _xor("xor9", "XOR, nine layers", [10, 10, 10, 5, 5, 5, 5, 5]),
    MLP,
    _images(
        "dropout",
        "MLP 784-512×4-10, dropout",
        {"family": "mlp", "widths": [512] * 4, "keep_prob": 0.7},
        steps=40,
        stacks={1: 40, 10: 8, 100: 2, 1000: 1},
    ),
    _images(
        "cnn",
        "CNN 32-64",
        {"family": "convnet", "channels": [32, 64]},
        steps=12,
        stacks={1: 12, 10: 2, 100: 1, 1000: 1},
    ),
)
