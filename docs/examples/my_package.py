"""A network, a data set and an initialiser of one's own; everything else is the lab's."""

import numpy as np
import pytorch_lightning as pl
import torch
from torch import nn

from ablation_lab import dataset, family, initializer
from ablation_lab.data import Dataset, Part, TrainingData
from lightning_modules.initializers import initialize


@initializer("wide")
def wide(weight, *, generator):
    weight.uniform_(-3, 3, generator=generator)


@family("my_net")
class MyNet(pl.LightningModule):
    # Its step depends on parameters, buffers and batch alone: replicates train as one program.
    stacks = True

    def __init__(self, *, input_shape, classes, width, init, optimizer, seed, **_):
        super().__init__()
        hidden = nn.Linear(*input_shape, width)
        self.network = nn.Sequential(hidden, nn.Softplus(), nn.Linear(width, classes))
        self.learning_rate = optimizer["learning_rate"]
        initialize(self.network, weight=init, bias="zeros", seed=seed)

    def forward(self, x):
        return self.network(x)

    def training_step(self, batch, batch_idx):
        x, y = batch
        return nn.functional.cross_entropy(self(x), y)

    def configure_optimizers(self):
        return torch.optim.RMSprop(self.parameters(), lr=self.learning_rate)


def read_rings(files):
    draw = np.random.default_rng(0)
    y = draw.integers(0, 2, size=400)
    angle = draw.uniform(0, 2 * np.pi, size=400)
    x = (y + draw.normal(1, 0.2, size=400)) * np.array([np.cos(angle), np.sin(angle)])
    train, validation, test = (
        Part(x.T[rows].astype(np.float32), y[rows])
        for rows in (slice(0, 200), slice(200, 300), slice(300, 400))
    )
    return TrainingData(train, validation), test


dataset("rings")(
    Dataset(
        name="rings",
        shape=(2,),
        classes=2,
        examples=200,
        about="two noisy circles, one around the other",
        read=read_rings,
    )
)
