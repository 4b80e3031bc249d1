"""Initialisers by name, and their use on a whole network.

Comes in: a network, the names for weights and biases, a seed. Goes out: the same network with
new values. A draw depends on nothing but the seed, the parameter's name and its shape, so cells
of a study that share these share the draw, and N(0, 1), He, ... differ by a factor only.
"""

import hashlib
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from lightning_modules.layers import KINDS, Layer, layers_of, pieces_of
from lightning_modules.registry import INITIALIZERS, unknown

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


__all__ = ["INITIALIZERS", "Initializer", "fans", "initialize", "lsuv", "weight_names"]


class Initializer(Protocol):
    """What is registered: it fills a tensor in place, drawing from `generator` alone.

    Shapes: (out, in) for dense layers, (out, in, kh, kw) for convolutions, (out,) for biases.
    """

    def __call__(self, weight: Tensor, *, generator: torch.Generator) -> None:
        """Fill `weight`."""


def fans(weight: Tensor) -> tuple[int, int]:
    """Return (fan_in, fan_out): in x kh x kw and out x kh x kw.

    Errors: ValueError for a tensor of fewer than two axes, such as a bias.
    """
    if weight.ndim < 2:
        raise ValueError(
            f"this initialiser needs fan_in and fan_out, which a tensor of shape "
            f"{tuple(weight.shape)} has not; for a bias take 'zeros', 'normal' or 'uniform'"
        )
    field = math.prod(weight.shape[2:])
    return weight.shape[1] * field, weight.shape[0] * field


@INITIALIZERS.register("normal")
def normal(weight: Tensor, *, generator: torch.Generator) -> None:
    """N(0, 1), TensorFlow's `tf.random_normal`."""
    weight.normal_(generator=generator)


@INITIALIZERS.register("normal_001")
def normal_001(weight: Tensor, *, generator: torch.Generator) -> None:
    """N(0, 0.01^2): standard deviation 0.01."""
    weight.normal_(generator=generator).mul_(0.01)


@INITIALIZERS.register("uniform")
def uniform(weight: Tensor, *, generator: torch.Generator) -> None:
    """U(-1, 1)."""
    weight.uniform_(-1, 1, generator=generator)


@INITIALIZERS.register("xavier_uniform")
def xavier_uniform(weight: Tensor, *, generator: torch.Generator) -> None:
    """U(-a, a), a = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""
    weight.uniform_(-1, 1, generator=generator).mul_(math.sqrt(6 / sum(fans(weight))))


@INITIALIZERS.register("xavier_fan_in")
def xavier_fan_in(weight: Tensor, *, generator: torch.Generator) -> None:
    """N(0, 1 / fan_in), in numpy `randn / sqrt(fan_in)`."""
    weight.normal_(generator=generator).mul_(1 / math.sqrt(fans(weight)[0]))


@INITIALIZERS.register("xavier_caffe")
def xavier_caffe(weight: Tensor, *, generator: torch.Generator) -> None:
    """U(-a, a), a = sqrt(3 / fan_in): what Caffe, and so the LSUV table, calls Xavier."""
    weight.uniform_(-1, 1, generator=generator).mul_(math.sqrt(3 / fans(weight)[0]))


@INITIALIZERS.register("torch_default")
def torch_default(weight: Tensor, *, generator: torch.Generator) -> None:
    """U(-a, a), a = 1 / sqrt(fan_in): what torch's own layers start from."""
    weight.uniform_(-1, 1, generator=generator).mul_(1 / math.sqrt(fans(weight)[0]))


@INITIALIZERS.register("he_normal")
def he_normal(weight: Tensor, *, generator: torch.Generator) -> None:
    """N(0, 2 / fan_in), `randn / sqrt(fan_in / 2)` (He et al., 2015)."""
    weight.normal_(generator=generator).mul_(math.sqrt(2 / fans(weight)[0]))


@INITIALIZERS.register("orthonormal")
def orthonormal(weight: Tensor, *, generator: torch.Generator) -> None:
    """Orthonormal rows of the (out, fan_in) matrix, columns if out > fan_in (Saxe et al., 2014)."""
    fan_in, _ = fans(weight)
    # Double precision: the rounded result does not depend on the number of threads.
    draw = torch.empty(weight.shape[0], fan_in, dtype=torch.float64)
    nn.init.orthogonal_(draw, generator=generator)
    weight.copy_(draw.reshape(weight.shape))


@INITIALIZERS.register("orthonormal_he")
def orthonormal_he(weight: Tensor, *, generator: torch.Generator) -> None:
    """Orthonormal, scaled so that the mean square of the entries is 2 / fan_in."""
    orthonormal(weight, generator=generator)
    fan_in, _ = fans(weight)
    # The mean square of an orthonormal (out, fan_in) matrix is 1 / max(out, fan_in).
    weight.mul_(math.sqrt(2 * max(weight.shape[0], fan_in) / fan_in))


@INITIALIZERS.register("zeros")
def zeros(weight: Tensor, *, generator: torch.Generator) -> None:
    """All 0; draws nothing."""
    weight.zero_()


# LSUV starts orthonormal; its second half, the function `lsuv`, needs a batch.
INITIALIZERS.register("lsuv")(orthonormal)


def initialize(
    network: nn.Module, *, weight: str | Mapping[str, str], bias: str, seed: int
) -> None:
    """Fill every parameter of the network's dense and convolution layers, in place.

    `weight` is one name, or {"conv": name, "dense": name}. Each maxout piece is drawn as a
    weight of its own. Values are drawn on the CPU in float32, whatever device holds the network.
    Errors: UnknownName; ValueError if an initialiser does not fit (He for a bias).
    """
    names = weight_names(weight)
    INITIALIZERS.get(bias)
    with torch.no_grad():
        for path, kind, layer in layers_of(network):
            _fill(layer.weight, f"{path}.weight", names[kind], seed=seed, pieces=pieces_of(layer))
            if layer.bias is not None:
                _fill(layer.bias, f"{path}.bias", bias, seed=seed, pieces=1)


def weight_names(weight: str | Mapping[str, str]) -> dict[str, str]:
    """Return {"conv": name, "dense": name}, all known, from one name or such a mapping.

    Errors: UnknownName (a name); ValueError (a key that is unknown or missing).
    """
    names = dict.fromkeys(KINDS, weight) if isinstance(weight, str) else dict(weight)
    for kind in names:
        if kind not in KINDS:
            raise ValueError(unknown("kind of layer for an initialiser", kind, KINDS))
    for kind in KINDS:
        if kind not in names:
            raise ValueError(f"initialiser: expected a name for each of {KINDS}, found no {kind!r}")
        INITIALIZERS.get(names[kind])
    return names


def _fill(parameter: Tensor, path: str, initializer: str, *, seed: int, pieces: int) -> None:
    draw = torch.empty(parameter.shape, dtype=torch.float32, device="cpu")
    generator = _generator(seed, path)
    for piece in draw.chunk(pieces):
        try:
            INITIALIZERS.get(initializer)(piece, generator=generator)
        except ValueError as error:
            raise ValueError(f"initialiser {initializer!r} for {path}: {error}") from error
    parameter.copy_(draw)


def _generator(seed: int, name: str) -> torch.Generator:
    """Return a CPU generator whose state is a hash of the seed and the parameter's name."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator(device="cpu").manual_seed(int.from_bytes(digest[:8], "big") >> 1)
