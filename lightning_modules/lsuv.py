"""The data-dependent half of LSUV (layer-sequential unit-variance initialisation).

Comes in: a network with orthonormal weights and one training batch. Goes out: the same network,
every layer scaled to pre-activations of variance 1 (Mishkin and Matas, 2015, authors' code).
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lightning_modules.layers import KINDS, Layer, layers_of, pieces_of

TOLERANCE = 0.02
ROUNDS = 20


def lsuv(network: nn.Module, batch: Tensor, *, kinds: Collection[str] = KINDS) -> None:
    """Scale the weights of each layer, in forward order, in place.

    While |Var - 1| > 0.02 for the pre-activations, W <- W / sqrt(Var), at most 20 rounds, the
    classifier too; biases stay; each maxout piece by itself; dropout is active. One forward pass
    does it: a layer is scaled when its input arrives, so those before it are ready.
    The dropout masks are always the same ones and the global random state is left alone: equal
    network and batch give equal weights. A layer whose outputs do not vary stays as it is.

    Shapes: `batch` is what the network takes. `kinds`: of which layers, "conv" or "dense".
    """
    chosen = [layer for _, kind, layer in layers_of(network) if kind in kinds]
    scaled: set[Layer] = set()

    def scale(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        if isinstance(layer, Layer) and layer not in scaled:
            scaled.add(layer)
            _scale(layer, inputs[0])

    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(_fixed_masks(batch))
        stack.enter_context(_training(network))
        for layer in chosen:
            stack.callback(layer.register_forward_pre_hook(scale).remove)
        network(batch)


def _scale(layer: Layer, x: Tensor) -> None:
    pieces = pieces_of(layer)
    weights = layer.weight.chunk(pieces)
    for _ in range(ROUNDS):
        # The layer's own forward: calling the layer would run this hook again.
        outputs = layer.forward(x).chunk(pieces, 1 if isinstance(layer, nn.Conv2d) else -1)
        variances = [float(output.var(correction=0)) for output in outputs]
        if all(abs(variance - 1) <= TOLERANCE for variance in variances):
            return
        for weight, variance in zip(weights, variances, strict=True):
            if variance > 0 and abs(variance - 1) > TOLERANCE:
                weight.div_(variance**0.5)


@contextmanager
def _training(network: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in network.modules()}
    network.train()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def _fixed_masks(batch: Tensor) -> Iterator[None]:
    devices = [batch.device] if batch.is_cuda else []
    seed: Callable[[int], object] = (
        torch.cuda.manual_seed if batch.is_cuda else torch.default_generator.manual_seed
    )
    with torch.random.fork_rng(devices=devices):
        seed(0)
        yield
