"""Features instead of pixels: reductions by name, and a linear classifier on what they give.

Comes in: training examples, with labels where they are asked for. Goes out: a module from entries
to features, found before the fit and kept; logits of the classifier.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeAlias, Unpack

import torch
from torch import Tensor, nn

from lightning_modules.autoencoder import Autoencoder
from lightning_modules.families import Classifier, Common
from lightning_modules.layers import sizes
from lightning_modules.mlp import MLPNetwork
from lightning_modules.registry import FAMILIES, REDUCTIONS
from lightning_modules.task import disagreement, validate_labels

Reduction: TypeAlias = Callable[[Tensor, Tensor, int, int], nn.Module]

# Of the mean variance, added to each feature's own: pixels that never vary have none.
SHRINKAGE = 1e-3
BATCH, STEPS, RATE = 100, 3000, 0.001
HIDDEN = 256


class Projection(nn.Module):
    """(x - mean) V for directions V (D, width)."""

    mean: Tensor
    directions: Tensor

    def __init__(self, mean: Tensor, directions: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("directions", directions)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features. Shapes: (B, D) -> (B, width)."""
        features: Tensor = (x - self.mean) @ self.directions
        return features


@REDUCTIONS.register("pca")
def pca(x: Tensor, y: Tensor, width: int, seed: int) -> nn.Module:
    """Principal components: the directions of largest variance; labels are not looked at."""
    _, vectors = torch.linalg.eigh(torch.cov(x.double().T))
    return Projection(x.mean(0), vectors.flip(1)[:, :width].to(x.dtype))


@REDUCTIONS.register("lda")
def lda(x: Tensor, y: Tensor, width: int, seed: int) -> nn.Module:
    """Fisher's discriminants: w that maximise (w^T B w) / (w^T S w), of unit variance in S.

    S is the covariance within the classes, shrunk a little towards the identity, B that of the
    class means. Errors: ValueError for more directions than classes less one, and for labels that
    are not one class number for each example.
    """
    validate_labels(y)
    if y.shape != x.shape[:1]:
        raise disagreement(x, "labels", y, "a row of features for each label")
    values, classes = x.double(), y.unique()
    if width > len(classes) - 1:
        raise ValueError(f"width: lda has at most classes - 1 = {len(classes) - 1}, found {width}")
    means = torch.stack([values[y == each].mean(0) for each in classes])
    shares = torch.stack([(y == each).double().mean() for each in classes])
    centred = values - means[torch.searchsorted(classes, y)]
    within = centred.T @ centred / len(values)
    within += SHRINKAGE * within.diagonal().mean() * torch.eye(len(within)).to(within)
    apart = means - values.mean(0)
    between = apart.T @ (shares[:, None] * apart)
    # With S = L L^T and u = L^T w it is an ordinary symmetric problem in u.
    root = torch.linalg.cholesky(within)
    half = torch.linalg.solve_triangular(root, between, upper=False)
    _, vectors = torch.linalg.eigh(torch.linalg.solve_triangular(root, half.T, upper=False))
    best = vectors.flip(1)[:, :width]
    directions = torch.linalg.solve_triangular(root.T, best, upper=True)
    return Projection(x.mean(0), directions.to(x.dtype))


@REDUCTIONS.register("random")
def random(x: Tensor, y: Tensor, width: int, seed: int) -> nn.Module:
    """Random directions, N(0, 1 / D): what the others have to beat."""
    draw = torch.randn(x.shape[1], width, generator=torch.Generator().manual_seed(seed))
    return Projection(x.mean(0), (draw / x.shape[1] ** 0.5).to(x))


class Code(nn.Module):
    """The encoder of a trained autoencoder."""

    def __init__(self, autoencoder: Autoencoder) -> None:
        super().__init__()
        autoencoder.zero_grad()
        self.autoencoder = autoencoder.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the codes. Shapes: (B, D) -> (B, width)."""
        return self.autoencoder.encode(x)


@REDUCTIONS.register("autoencoder")
def autoencoder(x: Tensor, y: Tensor, width: int, seed: int) -> nn.Module:
    """The code of an autoencoder D-256-width-256-D after 3,000 steps of Adam on batches of 100.

    Its units are very leaky ReLUs: on MNIST, sigmoids and tanh of so few units saturate, until the
    code is the same for every image.
    """
    module = Autoencoder(
        input_shape=(x.shape[1],),
        widths=(HIDDEN, width),
        activation="very_leaky_relu",
        optimizer={"name": "adam", "learning_rate": RATE},
        seed=seed,
    ).to(x.device)
    optimizer = module.configure_optimizers()
    batches = _batches(len(x), torch.Generator().manual_seed(seed))
    with torch.enable_grad():
        for rows in islice(batches, STEPS):
            optimizer.zero_grad()
            module.objective(x[rows], x[rows]).backward()
            optimizer.step()
    return Code(module)


def _batches(examples: int, generator: torch.Generator) -> Iterator[Tensor]:
    while True:
        yield from torch.randperm(examples, generator=generator).split(BATCH)


class ReducedNetwork(nn.Module):
    """logits = W r(x) + b, with a reduction r that is found before the fit and then stays."""

    def __init__(self, *, width: int, outputs: int) -> None:
        super().__init__()
        self.reduction: nn.Module | None = None
        self.classify = MLPNetwork(inputs=width, outputs=outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits. Shapes: (B, ...) with D entries per example -> (B, C)."""
        if self.reduction is None:
            raise RuntimeError("the reduction is not there yet: call pretrain(x, y) before the fit")
        logits: Tensor = self.classify(self.reduction(x.flatten(1)))
        return logits


@FAMILIES.register("reduced")
class Reduced(Classifier):
    """Softmax (or logistic) regression on `width` features that a `reduction` makes.

    Call `pretrain` with the training examples before the fit; a plain `pl.Trainer` that finds it
    was not called does it from its loader.

    Arguments: `reduction` one of `reductions`; `width` how many features; the others as for
    `Classifier`.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        classes: int,
        reduction: str = "pca",
        width: int = 2,
        init: str = "xavier_uniform",
        bias_init: str = "zeros",
        **common: Unpack[Common],
    ) -> None:
        self.entries = math.prod(sizes("input_shape", input_shape))
        network = ReducedNetwork(
            width=sizes("width", (width,))[0], outputs=sizes("classes", (classes,))[0]
        )
        super().__init__(
            network=network,
            classes=classes,
            init=init,
            bias_init=bias_init,
            **common,
        )
        if width > self.entries:
            raise ValueError(f"width: expected at most the {self.entries} entries, found {width}")
        self.reduced = network
        self.width = width
        self.reduce = REDUCTIONS.get(reduction)

    @torch.no_grad()
    def pretrain(self, x: Tensor, y: Tensor) -> None:
        """Find the reduction from training examples (N, ...) and labels (N,)."""
        self.reduced.reduction = self.reduce(x.flatten(1), y, self.width, self.seed)

    def on_train_start(self) -> None:
        """Find it from the loader, where nobody has done so before."""
        if self.reduced.reduction is None:
            batches = list(self.trainer.train_dataloader)  # type: ignore[arg-type]
            x, y = (torch.cat([batch[part] for batch in batches]) for part in (0, 1))
            self.pretrain(x.to(self.device), y.to(self.device))
