"""The plug-in of this project: a network of its own. Everything else is the lab's.

A data set, an initializer, an activation, an optimizer or a metric of your own is registered in the
same way.
"""

import pytorch_lightning as pl
import torch
from ablation_lab import family
from torch import nn


@family("NAME")
class Network(pl.LightningModule):
    """One hidden layer with dropout. What the study calls model.width is the argument `width`."""

    def __init__(self, *, input_shape, classes, optimizer, width=32, keep_prob=1.0, **_):
        super().__init__()
        inputs = torch.Size(input_shape).numel()
        self.network = nn.Sequential(
            nn.Flatten(),
            nn.Linear(inputs, width),
            nn.ReLU(),
            nn.Dropout(1 - keep_prob),
            nn.Linear(width, classes),
        )
        self.learning_rate = optimizer["learning_rate"]

    def forward(self, x):
        """Return logits: (examples, classes)."""
        return self.network(x)

    def training_step(self, batch, batch_idx):
        """Return the loss of a batch."""
        x, y = batch
        return nn.functional.cross_entropy(self(x), y)

    def configure_optimizers(self):
        """Return any optimizer of torch's."""
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate)
