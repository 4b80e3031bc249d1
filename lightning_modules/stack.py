"""K multilayer perceptrons of equal shape as one module, the run axis innermost.

Comes in: K classifiers, initialised one by one. Goes out: one module with weights (D, M, K) and
biases (M, K), whose forward pass gives logits (B, C, K); nothing mixes the runs. ("Horizontal
fusion": Wang et al., HFTA, MLSys 2021.)
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from lightning_modules.activations import activation_along, pieces
from lightning_modules.classifier import Classifier
from lightning_modules.losses import per_example_loss
from lightning_modules.mlp import MLPNetwork


class MLPStack(nn.Module):
    """h <- activation(sum_d h_d w_d + b) for every run k at once, without dropout.

    Arguments: classifiers around `MLPNetwork` with equal layers, activation, loss and L2.
    Errors: ValueError if there is none, TypeError for another network, ValueError for dropout or
    layers that differ.
    """

    def __init__(self, classifiers: Sequence[Classifier]) -> None:
        super().__init__()
        if not classifiers:
            raise ValueError("a stack needs at least one run, found none")
        networks = [_network(classifier) for classifier in classifiers]
        first = classifiers[0]
        self.size = len(networks)
        self.layers = len(networks[0].linears)
        self.classes = first.classes
        self.l2 = first.l2
        self.activate: Callable[[Tensor], Tensor] = activation_along(networks[0].activation, 1)
        self.pieces = pieces(networks[0].activation)
        self.criterion = per_example_loss(first.loss, first.classes)
        columns = list(zip(*(network.linears for network in networks), strict=True))
        self.weights = nn.ParameterList([_stack([_t(layer) for layer in c]) for c in columns])
        self.biases = nn.ParameterList([_stack([layer.bias for layer in c]) for c in columns])

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits. Shapes: (B, ...) with D entries per example -> (B, C, K)."""
        return self._logits([*self.parameters()], x)

    def one(self, index: int, x: Tensor) -> Tensor:
        """Return the logits (B, C) of run `index` alone."""
        values = [parameter[..., index : index + 1] for parameter in self.parameters()]
        return self._logits(values, x)[..., 0]

    def objective(self, values: list[Tensor], x: Tensor, y: Tensor) -> Tensor:
        """Return what each run minimises, (K,), at `values` in the order of `parameters()`."""
        # (B, K, C), not (K, B, C): for one output this is the order in which the logits lie. Put in
        # another order, the loss and all gradients behind it are computed run by run, without
        # vector instructions.
        logits = self._logits(values, x).movedim(-1, 1)
        batch, runs, outputs = logits.shape
        labels = y.unsqueeze(1).expand(batch, runs).reshape(-1)
        losses = self.criterion(logits.reshape(-1, outputs), labels).view(batch, runs).mean(0)
        if self.l2:
            losses = losses + self.l2 * sum(w.square().sum((0, 1)) for w in values[: self.layers])
        return losses

    def _logits(self, values: list[Tensor], x: Tensor) -> Tensor:
        weights, biases = values[: self.layers], values[self.layers :]
        h = x.flatten(1).unsqueeze(-1)
        for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            h = (h.unsqueeze(2) * weight).sum(1) + bias
            if layer < self.layers - 1:
                h = self.activate(h)
        return h


def _network(classifier: Classifier) -> MLPNetwork:
    network = classifier.network
    if not isinstance(network, MLPNetwork):
        raise TypeError(f"a stack needs an MLPNetwork, found {type(network).__name__}")
    if network.keep_prob != 1.0:
        raise ValueError(f"a stack has no dropout: expected keep_prob 1, found {network.keep_prob}")
    return network


def _t(layer: nn.Linear) -> Tensor:
    return layer.weight.t()


def _stack(tensors: Sequence[Tensor]) -> nn.Parameter:
    return nn.Parameter(torch.stack([tensor.detach() for tensor in tensors], -1).contiguous())
