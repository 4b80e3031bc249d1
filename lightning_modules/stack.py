"""K modules of equal structure as one, by two layouts; nothing mixes the runs.

Comes in: K modules, initialised one by one. Goes out: one module that gives what each of the K
gives. `MLPStack` has the run axis innermost, weights (D, M, K): small perceptrons without dropout,
whose whole step a compiler fuses. `ModuleStack` has it first, parameters (K, ...): the module's own
forward pass is mapped over the runs by `torch.func`, so that dense layers become batched matrix
products and convolutions grouped ones; so is the loss of a `LearnerStack`. ("Horizontal fusion":
Wang et al., HFTA, MLSys 2021.)
"""

from collections.abc import Callable, Iterator, Sequence

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from lightning_modules.activations import activation_along, pieces
from lightning_modules.convnet import ConvNetNetwork
from lightning_modules.families import Classifier, Learner
from lightning_modules.layers import OwnDropout, layers_of
from lightning_modules.losses import loss_function
from lightning_modules.mlp import MLPNetwork
from lightning_modules.optimizers import build_optimizer


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
        self.criterion = loss_function(first.loss, first.classes, mean=False)
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


class ModuleStack(nn.Module):
    """K modules that differ in parameters and buffers alone; the first of them says how.

    `values` are the parameters (K, ...) in the order of `names`, `buffers_of_runs` the buffers.
    Errors: ValueError if there is none; RuntimeError of torch if structures differ.
    """

    def __init__(self, modules: Sequence[pl.LightningModule]) -> None:
        super().__init__()
        if not modules:
            raise ValueError("a stack needs at least one run, found none")
        parameters, buffers = torch.func.stack_module_state(list(modules))
        self.size = len(modules)
        self.names = tuple(parameters)
        self.values = nn.ParameterList(parameters.values())
        # In a tuple, so that it is no part of this module: it only says what is computed.
        self._module = (modules[0],)
        self.buffers_of_runs = buffers

    def to_device(self, device: torch.device) -> None:
        """Move the numbers that belong to the runs, which are no parameters, to the device."""
        self.buffers_of_runs = {n: b.to(device) for n, b in self.buffers_of_runs.items()}

    def forward(self, x: Tensor, *, own: bool = False) -> Tensor:
        """Return the outputs (K, B, ...) for x (B, ...), or x (K, B, ...) where each has its own.

        They are what the task gives: logits (K, B, C) of a classifier.
        """
        axis = 0 if own else None
        return self._outputs(list(self.values), self.buffers_of_runs, x, axis, training=False)

    def at(self, values: Sequence[Tensor], x: Tensor) -> Tensor:
        """Return the outputs (B, ...) at one run's values: its parameters, then its buffers."""
        one = [value.unsqueeze(0) for value in values]
        count = len(self.names)
        buffers = dict(zip(self.buffers_of_runs, one[count:], strict=True))
        return self._outputs(one[:count], buffers, x, None, training=False)[0]

    def module_at(self, values: Sequence[Tensor]) -> pl.LightningModule:
        """Return the first run's module at one run's values: its parameters, then its buffers."""
        module = self._module[0].to(values[0].device)
        own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        with torch.no_grad():
            for name, value in zip((*self.names, *self.buffers_of_runs), values, strict=True):
                own[name].copy_(value)
        return module

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these of the runs alone; the parameters are new ones."""
        index = torch.tensor(rows, device=self.values[0].device)
        self.size = len(rows)
        self.values = nn.ParameterList(value.detach()[index] for value in self.values)
        self.buffers_of_runs = {n: b[index] for n, b in self.buffers_of_runs.items()}

    def at_step(self, step: int | Tensor) -> None:
        """Begin a step, of which this is the number."""

    def objective(self, x: Tensor, y: Tensor, *, own: bool) -> Tensor:
        """Return what each run minimises, (K,), on its batch.

        Shapes: x (K, B, ...) and y (K, B, ...) where each run has its own batch, else (B, ...).
        """
        raise NotImplementedError

    def optimizer(self) -> torch.optim.Optimizer:
        """Return the modules' optimiser for the values of all runs."""
        raise NotImplementedError

    def _outputs(
        self,
        values: Sequence[Tensor],
        buffers: dict[str, Tensor],
        x: Tensor,
        batch_axis: int | None,
        *,
        training: bool,
    ) -> Tensor:
        module = self._module[0].train(training)

        def call(own: dict[str, Tensor], more: dict[str, Tensor], batch: Tensor) -> Tensor:
            outputs: Tensor = torch.func.functional_call(module, (own, more), (batch,))
            return outputs

        named = dict(zip(self.names, values, strict=True))
        outputs: Tensor = torch.vmap(call, in_dims=(0, 0, batch_axis))(named, buffers, x)
        return outputs


class LearnerStack(ModuleStack):
    """K learners that differ in values, dropout, loss and L2, but not in structure.

    A module's objective is its loss, a function of what it gives, of x and of y alone, plus its L2.
    Arguments: `modules`, whose networks are taken over; `streams`, one number for each run, from
    which its dropout masks come.
    """

    def __init__(self, modules: Sequence[Learner], streams: Sequence[int]) -> None:
        _give_own_dropout([module.network for module in modules], streams)
        for module in modules:
            if isinstance(module.network, ConvNetNetwork):
                module.network.memory_format = torch.contiguous_format
        super().__init__(modules)
        self._settings = modules[0].optimizer_settings
        self._of_loss = tuple(_by_loss(modules))
        weights = {f"{path}.weight" for path, _, _ in layers_of(modules[0])}
        self._weights = [name in weights for name in self.names]
        self.register_buffer("l2", torch.tensor([module.l2 for module in modules]))
        self.l2: Tensor
        self.has_l2 = any(module.l2 for module in modules)

    def to_device(self, device: torch.device) -> None:
        """Move also which runs have which loss."""
        super().to_device(device)
        self._of_loss = tuple((module, runs.to(device)) for module, runs in self._of_loss)

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these of the runs alone; the parameters are new ones."""
        super().keep(rows)
        index = torch.tensor(rows, device=self.l2.device)
        self.l2 = self.l2[index]
        kept = ((module, torch.isin(index, runs).nonzero()[:, 0]) for module, runs in self._of_loss)
        self._of_loss = tuple((module, runs) for module, runs in kept if len(runs))

    def at_step(self, step: int | Tensor) -> None:
        """Begin a step: its dropout masks are those of this number."""
        for module in self._module[0].modules():
            if isinstance(module, OwnDropout):
                module.at_step(step)

    def objective(self, x: Tensor, y: Tensor, *, own: bool) -> Tensor:
        """Return the loss of each run on its batch, plus its L2, (K,)."""
        axis = 0 if own else None
        values = list(self.values)
        outputs = self._outputs(values, self.buffers_of_runs, x, axis, training=True)
        losses = self._losses(outputs, x, y, axis)
        if self.has_l2:
            squares = [
                value.square().flatten(1).sum(1)
                for value, counts in zip(self.values, self._weights, strict=True)
                if counts
            ]
            losses = losses + self.l2 * torch.stack(squares).sum(0)
        return losses

    def optimizer(self) -> torch.optim.Optimizer:
        """Return the optimiser that the modules' settings name, for the values of all runs."""
        return build_optimizer(self.parameters(), self._settings)

    def _losses(self, outputs: Tensor, x: Tensor, y: Tensor, axis: int | None) -> Tensor:
        """Apply each loss to the runs that have it, and to no other: 0 x NaN would be NaN."""
        losses = torch.empty(self.size, device=outputs.device)
        for module, runs in self._of_loss:
            if len(runs) == self.size:
                return _losses(module, outputs, x, y, axis)
            mine = (x, y) if axis is None else (x[runs], y[runs])
            losses = losses.index_put((runs,), _losses(module, outputs[runs], *mine, axis))
        return losses


def _by_loss(modules: Sequence[Learner]) -> Iterator[tuple[Learner, Tensor]]:
    """Yield a module for each loss that occurs, and the runs that have it."""
    losses = [module.loss for module in modules]
    for loss in dict.fromkeys(losses):
        runs = [run for run, name in enumerate(losses) if name is loss]
        yield modules[runs[0]], torch.tensor(runs)


def _losses(module: Learner, outputs: Tensor, x: Tensor, y: Tensor, axis: int | None) -> Tensor:
    """Return the mean losses (K,) of batches, without the L2 term, by the loss of one module."""
    if not isinstance(module, Classifier):
        losses: Tensor = torch.vmap(module.loss_of, in_dims=(0, axis, axis))(outputs, x, y)
        return losses
    # The same for every example of every run: mapped, cross-entropy takes twice the time.
    labels = y.expand(len(outputs), *y.shape) if axis is None else y
    criterion = loss_function(module.loss, module.classes, mean=False)
    each = criterion(outputs.flatten(0, 1), labels.flatten()).view(labels.shape)
    return each.mean(1)


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
