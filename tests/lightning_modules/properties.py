"""What holds of every registered activation, initialiser and optimiser, whoever adds it."""

from __future__ import annotations

from math import isfinite

import torch
from torch import Tensor, nn

from lightning_modules.activations import activation_along, pieces
from lightning_modules.optimizers import build_optimizer, optimizer_settings
from lightning_modules.registry import ACTIVATIONS, INITIALIZERS

# Far into both tails, where a formula with exp or a division would give infinity or NaN.
POINTS = torch.tensor([-80.0, -3.0, -0.5, 0.0, 0.5, 2.0, 80.0])
SHAPES = ((40, 30), (30, 40), (16, 8, 3, 3))
START, RATE, STEPS = 2.0, 0.1, 50
# Settings that no optimiser has as its default, and that change what it does if it has them.
CHANGES = {"momentum": 0.5, "epsilon": 1e-2, "weight_decay": 0.1, "l1": 0.1, "l2": 0.1}


def check_activation(name: str) -> None:
    """Assert that an activation is a function of single numbers, or of the pieces of a unit."""
    function, count = ACTIVATIONS.get(name), pieces(name)
    x = torch.stack([POINTS, POINTS.flip(0), POINTS.roll(2)])
    wide = x.repeat(1, count) if count == 1 else torch.cat([x, x.roll(1, 0)], dim=-1)
    kept = wide.clone()
    found = function(wide)
    assert torch.equal(wide, kept), f"{name} changes what it is given"
    assert found.shape == x.shape
    assert found.isfinite().all()
    _acts_on_every_unit_alone(name, wide, found, count)
    # Channels may lie at any axis: images have them first, dense layers last.
    for axis in (0, 1):
        moved = activation_along(name, axis)(wide.movedim(-1, axis).unsqueeze(-1))
        torch.testing.assert_close(moved.squeeze(-1).movedim(axis, -1), found)
    sloped = wide.clone().requires_grad_()
    function(sloped).sum().backward()
    assert sloped.grad is not None
    assert sloped.grad.isfinite().all(), f"{name} has a gradient that is not finite"
    assert (sloped.grad != 0).any(), f"{name} lets no gradient through"


def _acts_on_every_unit_alone(name: str, wide: Tensor, found: Tensor, count: int) -> None:
    units = wide.unflatten(-1, (count, -1))
    for unit in range(found.shape[-1]):
        alone = ACTIVATIONS.get(name)(units[..., unit])
        torch.testing.assert_close(alone.squeeze(-1), found[..., unit])


def check_initializer(name: str) -> None:
    """Assert that an initialiser fills every shape from its generator alone, and says how."""
    assert INITIALIZERS.get(name).__doc__, f"{name} has no docstring that says its distribution"
    for shape in SHAPES:
        outside = torch.get_rng_state()
        first, draws = _drawn(name, shape, seed=0)
        assert torch.equal(torch.get_rng_state(), outside), f"{name} takes global random numbers"
        assert first.isfinite().all(), f"{name} leaves entries of {shape} unfilled"
        torch.rand(3)
        assert torch.equal(_drawn(name, shape, seed=0)[0], first)
        if draws:
            other, _ = _drawn(name, shape, seed=1)
            assert (other != first).float().mean() > 0.9


def _drawn(name: str, shape: tuple[int, ...], *, seed: int) -> tuple[Tensor, bool]:
    """Return a weight, and whether the initialiser drew anything at all."""
    weight = torch.full(shape, torch.nan)
    generator = torch.Generator().manual_seed(seed)
    before = generator.get_state()
    INITIALIZERS.get(name)(weight, generator=generator)
    assert weight.shape == shape
    return weight, not torch.equal(generator.get_state(), before)


def check_optimizer(name: str) -> None:
    """Assert that an optimiser descends on w^2 / 2, and ignores no setting in silence."""
    plain = _descent(name, RATE)
    assert plain[0] != START, f"{name} does not move"
    assert all(map(isfinite, plain))
    assert abs(plain[-1]) < START, f"{name} does not descend"
    assert plain == _descent(name, RATE)
    assert plain != _descent(name, RATE / 2)
    taken = optimizer_settings({"name": name, "learning_rate": RATE})
    for key, value in CHANGES.items():
        if key in taken:
            other = _descent(name, RATE, **{key: value})
            assert other != plain, f"{name} ignores {key} in silence; leave it out"


def _descent(name: str, rate: float, **settings: float) -> list[float]:
    w = nn.Parameter(torch.tensor(START, dtype=torch.float64))
    optimizer = build_optimizer([w], {"name": name, "learning_rate": rate, **settings})
    found = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        (w.square() / 2).backward()
        optimizer.step()
        found.append(w.item())
    return found
