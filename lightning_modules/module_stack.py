"""K networks of equal structure as one module, the run axis first, by `torch.func`.

Comes in: K classifiers, initialised one by one. Goes out: one module whose parameters have shape
(K, ...), and whose forward pass gives logits (K, B, C); nothing mixes the runs. Dense layers become
batched matrix products and convolutions grouped ones. ("Horizontal fusion": Wang et al., HFTA,
MLSys 2021.)
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lightning_modules.classifier import Classifier
from lightning_modules.convnet import ConvNetNetwork
from lightning_modules.layers import layers_of
from lightning_modules.losses import Loss, per_example_loss
from lightning_modules.noise import OwnDropout


class ModuleStack(nn.Module):
    """K classifiers that differ in values, dropout, loss and L2, but not in structure.

    Arguments: `classifiers`, whose networks are taken over; `streams`, one number for each run,
    from which its dropout masks come.
    Errors: ValueError if there is none; RuntimeError of torch if structures differ.
    """

    def __init__(self, classifiers: Sequence[Classifier], streams: Sequence[int]) -> None:
        super().__init__()
        if not classifiers:
            raise ValueError("a stack needs at least one run, found none")
        networks = [classifier.network for classifier in classifiers]
        _give_own_dropout(networks, streams)
        for network in networks:
            if isinstance(network, ConvNetNetwork):
                network.memory_format = torch.contiguous_format
        parameters, buffers = torch.func.stack_module_state(networks)
        self.size = len(networks)
        self.classes = classifiers[0].classes
        self.names = tuple(parameters)
        self.values = nn.ParameterList(parameters.values())
        # In a tuple, so that it is no part of this module: it only says what is computed.
        self._network = (networks[0],)
        self._buffers_of_runs = buffers
        weights = {f"{path}.weight" for path, _, _ in layers_of(networks[0])}
        self._weights = [name in weights for name in self.names]
        self._losses = tuple(Loss(classifier.loss) for classifier in classifiers)
        self.register_buffer("l2", torch.tensor([classifier.l2 for classifier in classifiers]))
        self.l2: Tensor
        self.has_l2 = any(classifier.l2 for classifier in classifiers)

    def to_device(self, device: torch.device) -> None:
        """Move the numbers that belong to the runs, which are no parameters, to the device."""
        self._buffers_of_runs = {n: b.to(device) for n, b in self._buffers_of_runs.items()}

    def forward(self, x: Tensor, *, own: bool = False) -> Tensor:
        """Return the logits (K, B, C) of x (B, ...), or of x (K, B, ...) where each has its own."""
        axis = 0 if own else None
        return self._logits(list(self.values), self._buffers_of_runs, x, axis, training=False)

    def one(self, index: int, x: Tensor) -> Tensor:
        """Return the logits (B, C) of run `index` alone."""
        values = [value[index : index + 1] for value in self.values]
        buffers = {name: b[index : index + 1] for name, b in self._buffers_of_runs.items()}
        return self._logits(values, buffers, x, None, training=False)[0]

    def at_step(self, step: int) -> None:
        """Begin a step: its dropout masks are those of this number."""
        for module in self._network[0].modules():
            if isinstance(module, OwnDropout):
                module.at_step(step)

    def objective(self, x: Tensor, y: Tensor, *, own: bool) -> Tensor:
        """Return what each run minimises, (K,), on its batch.

        Shapes: x (K, B, ...) and y (K, B) where each run has its own batch, else (B, ...) and (B,).
        """
        axis = 0 if own else None
        values = list(self.values)
        logits = self._logits(values, self._buffers_of_runs, x, axis, training=True)
        losses = self._mean_losses(logits, y if own else y.expand(self.size, len(y)))
        if self.has_l2:
            squares = [
                value.square().flatten(1).sum(1)
                for value, counts in zip(self.values, self._weights, strict=True)
                if counts
            ]
            losses = losses + self.l2 * torch.stack(squares).sum(0)
        return losses

    def _mean_losses(self, logits: Tensor, y: Tensor) -> Tensor:
        """Apply each loss to the runs that have it, and to no other: 0 x NaN would be NaN."""
        parts = torch.empty(self.size, device=logits.device)
        for loss in dict.fromkeys(self._losses):
            runs = [k for k, name in enumerate(self._losses) if name is loss]
            criterion = per_example_loss(loss, self.classes)
            rows = slice(None) if len(runs) == self.size else runs
            chosen, labels = logits[rows], y[rows]
            each = criterion(chosen.flatten(0, 1), labels.flatten()).view(labels.shape)
            if len(runs) == self.size:
                return each.mean(1)
            parts = parts.index_put((torch.tensor(runs, device=parts.device),), each.mean(1))
        return parts

    def _logits(
        self,
        values: Sequence[Tensor],
        buffers: dict[str, Tensor],
        x: Tensor,
        batch_axis: int | None,
        *,
        training: bool,
    ) -> Tensor:
        network = self._network[0].train(training)

        def call(own: dict[str, Tensor], more: dict[str, Tensor], batch: Tensor) -> Tensor:
            logits: Tensor = torch.func.functional_call(network, (own, more), (batch,))
            return logits

        named = dict(zip(self.names, values, strict=True))
        logits: Tensor = torch.vmap(call, in_dims=(0, 0, batch_axis))(named, buffers, x)
        return logits


def _give_own_dropout(networks: Sequence[nn.Module], streams: Sequence[int]) -> None:
    """Replace dropout, wherever one of the networks has it, by one with masks of the run's own."""
    paths = {
        path
        for network in networks
        for path, module in network.named_modules()
        if isinstance(module, nn.Dropout)
    }
    for network, stream in zip(networks, streams, strict=True):
        for number, path in enumerate(sorted(paths)):
            module = network.get_submodule(path)
            keep = 1.0 - module.p if isinstance(module, nn.Dropout) else 1.0
            network.set_submodule(path, OwnDropout(keep_prob=keep, stream=stream + number))
