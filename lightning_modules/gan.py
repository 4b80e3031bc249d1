"""Generative adversarial networks of two MLPs.

Comes in: images with entries in [0, 1]. Goes out: images of the same shape, out of noise.
"""

import math
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from lightning_modules.families import Batch
from lightning_modules.initializers import initialize
from lightning_modules.layers import sizes
from lightning_modules.losses import Loss, loss_function
from lightning_modules.mlp import MLPNetwork
from lightning_modules.optimizers import ADAM, Optimizer, build_optimizer, optimizer_settings
from lightning_modules.registry import FAMILIES
from lightning_modules.task import Task


@FAMILIES.register("gan")
class GAN(pl.LightningModule):
    """Generator 100-256-784 and discriminator 784-256-1 on MNIST.

    z ~ U(-1, 1). D ascends log D(x) + log(1 - D(G(z))), G ascends log D(G(z)) (non-saturating;
    Goodfellow et al., 2014). Both gradients are taken at the same weights and the same z, then both
    step, as one `sess.run` does it.

    Arguments: `latent` size of z; `width` of both hidden layers (ReLU); `init` of both; `loss`
    "unclipped" takes the logarithm of a float32 sigmoid, without clipping; `l2` must be 0.
    """

    task = Task.GENERATION
    # Lightning counts a step of each optimiser; a step of this network is one of both.
    steps_per_batch = 2

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int = 0,
        latent: int = 100,
        width: int = 256,
        init: str = "he_normal",
        bias_init: str = "zeros",
        loss: str = Loss.STABLE,
        optimizer: Optimizer = ADAM,
        l2: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if l2:
            raise ValueError(f"l2: a GAN has no such term, found {l2!r}; leave it out")
        self.automatic_optimization = False
        self.image_shape = sizes("input_shape", input_shape)
        self.latent = sizes("latent", (latent,))[0]
        entries, widths = math.prod(self.image_shape), sizes("width", (width,))
        self.generator = MLPNetwork(inputs=latent, outputs=entries, widths=widths)
        self.discriminator = MLPNetwork(inputs=entries, outputs=1, widths=widths)
        self.criterion = loss_function(loss, 1)
        self.optimizer_settings = optimizer_settings(optimizer)
        self.seed = seed
        initialize(self, weight=init, bias=bias_init, seed=seed)

    def forward(self, z: Tensor) -> Tensor:
        """Return images in (0, 1). Shapes: (B, latent) -> (B, *image_shape)."""
        return torch.sigmoid(self.generator(z)).reshape(len(z), *self.image_shape)

    def answer(self, x: Tensor) -> Tensor:
        """Return as many new images as there are rows of x, always the same ones."""
        draw = torch.Generator().manual_seed(self.seed)
        z = torch.rand(len(x), self.latent, generator=draw) * 2 - 1
        images: Tensor = self(z.to(x.device))
        return images

    def losses(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the losses of discriminator and generator on a batch, two scalars."""
        made = self(z)
        judged, real = self.discriminator(made), self.discriminator(x)
        ones = torch.ones(len(x), dtype=torch.int64, device=x.device)
        found_out = self.criterion(real, ones) + self.criterion(judged, 1 - ones)
        return found_out, self.criterion(judged, ones)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Update both networks once; log the discriminator's loss as train_loss."""
        x, _ = batch
        z = torch.rand(len(x), self.latent, device=x.device) * 2 - 1
        found_out, convincing = self.losses(x, z)
        optimizers: Any = self.optimizers()
        networks = (self.discriminator, self.generator)
        gradients = [
            torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)
            for loss, network in zip((found_out, convincing), networks, strict=True)
        ]
        for network, found in zip(networks, gradients, strict=True):
            for parameter, gradient in zip(network.parameters(), found, strict=True):
                parameter.grad = gradient
        for optimizer in optimizers:
            optimizer.step()
        self.log("train_loss", found_out.detach(), batch_size=len(x))

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return one optimiser for each network, with the same settings."""
        return [
            build_optimizer(network.parameters(), self.optimizer_settings)
            for network in (self.discriminator, self.generator)
        ]
