"""TensorFlow's optimisers on f(w) = w^2 / 2 from w = 2, against trajectories worked out by hand.

The gradient is w itself, so each trajectory is a recursion in one number: the formulas of the
papers, written here a second time, in plain Python and double precision.
"""

import math
from collections.abc import Callable, Iterator
from itertools import islice

import pytest
import torch
from torch import nn

from lightning_modules import tf_optimizers
from lightning_modules.mlp import MLP
from lightning_modules.optimizers import build_optimizer, optimizer_settings
from lightning_modules.registry import UnknownName

RATE, START, STEPS = 0.1, 2.0, 5
Trajectory = Callable[[], Iterator[float]]


def adam() -> Iterator[float]:
    w, m, v = START, 0.0, 0.0
    for t in range(1, STEPS + 1):
        m, v = 0.9 * m + 0.1 * w, 0.999 * v + 0.001 * w * w
        w -= RATE * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (math.sqrt(v) + 1e-8)
        yield w


def rmsprop() -> Iterator[float]:
    w, s = START, 1.0
    while True:
        s = 0.9 * s + 0.1 * w * w
        w -= RATE * w / math.sqrt(s + 1e-10)
        yield w


def ftrl() -> Iterator[float]:
    w, a, z = START, 0.1, 0.0
    while True:
        g = w
        z += g - (math.sqrt(a + g * g) - math.sqrt(a)) / RATE * w
        a += g * g
        w = -z * RATE / math.sqrt(a)
        yield w


def adagrad_da() -> Iterator[float]:
    w, a, total = START, 0.1, 0.0
    while True:
        total += w
        a += w * w
        w = -RATE * total / math.sqrt(a)
        yield w


def gradient_descent() -> Iterator[float]:
    w = START
    while True:
        w -= RATE * w
        yield w


def adagrad() -> Iterator[float]:
    w, a = START, 0.1
    while True:
        a += w * w
        w -= RATE * w / math.sqrt(a)
        yield w


def momentum() -> Iterator[float]:
    w, v = START, 0.0
    while True:
        v = 0.9 * v + w
        w -= RATE * v
        yield w


def adadelta() -> Iterator[float]:
    w, a, d = START, 0.0, 0.0
    while True:
        a = 0.95 * a + 0.05 * w * w
        change = math.sqrt(d + 1e-8) / math.sqrt(a + 1e-8) * w
        d = 0.95 * d + 0.05 * change * change
        w -= RATE * change
        yield w


TRAJECTORIES: dict[str, Trajectory] = {
    "sgd": gradient_descent,
    "momentum": momentum,
    "adagrad": adagrad,
    "adadelta": adadelta,
    "adam_tf": adam,
    "rmsprop_tf": rmsprop,
    "ftrl": ftrl,
    "adagrad_da": adagrad_da,
    "proximal_gd": gradient_descent,
    "proximal_adagrad": adagrad,
}


def descend(optimizer: torch.optim.Optimizer, w: nn.Parameter, steps: int) -> list[float]:
    found = []
    for _ in range(steps):
        optimizer.zero_grad()
        (w.square().sum() / 2).backward()
        optimizer.step()
        found.append(w.item())
    return found


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_the_decks_list_follows_its_formulas_on_a_quadratic(name: str) -> None:
    w = nn.Parameter(torch.tensor(START, dtype=torch.float64))
    optimizer = build_optimizer([w], {"name": name, "learning_rate": RATE})
    expected = list(islice(TRAJECTORIES[name](), STEPS))
    # Torch's Adagrad adds 1e-10 to the root, where TensorFlow adds nothing: 1e-9 of a step.
    assert descend(optimizer, w, STEPS) == pytest.approx(expected, rel=1e-8)


def test_adam_differs_from_torchs_only_where_epsilon_matters() -> None:
    # One step from g: torch moves lr g / (|g| + eps), TensorFlow lr g / (|g| + eps / sqrt(0.001)).
    for g, same in ((1.0, True), (1e-8, False)):
        moved = []
        for name in ("adam", "adam_tf"):
            w = nn.Parameter(torch.zeros(1, dtype=torch.float64))
            w.grad = torch.full_like(w, g)
            build_optimizer([w], {"name": name, "learning_rate": RATE}).step()
            moved.append(-w.item() / RATE)
        assert (moved[0] == pytest.approx(moved[1], rel=1e-6)) is same
        assert moved[1] == pytest.approx(g / (g + 1e-8 / math.sqrt(0.001)))


def test_dual_averaging_forgets_where_it_started() -> None:
    found = []
    for start in (-3.0, 5.0):
        w = nn.Parameter(torch.tensor([start]))
        w.grad = torch.ones(1)
        build_optimizer([w], {"name": "adagrad_da", "learning_rate": RATE}).step()
        found.append(w.item())
    assert found[0] == found[1] == pytest.approx(-RATE / math.sqrt(1.1))


def shrunk(value: float, by: float) -> float:
    """Move a number towards 0 by a length, and no further."""
    return math.copysign(max(abs(value) - by, 0.0), value)


def strong_ftrl(l1: float, l2: float) -> Iterator[float]:
    w, a, z = START, 0.1, 0.0
    while True:
        g = w
        z += g - (math.sqrt(a + g * g) - math.sqrt(a)) / RATE * w
        a += g * g
        w = -shrunk(z, l1) / (math.sqrt(a) / RATE + 2 * l2)
        yield w


def strong_adagrad_da(l1: float, l2: float) -> Iterator[float]:
    w, a, total, t = START, 0.1, 0.0, 0
    while True:
        t += 1
        total += w
        a += w * w
        w = -RATE * shrunk(total, l1 * t) / (l2 * t * RATE + math.sqrt(a))
        yield w


def strong_proximal_gd(l1: float, l2: float) -> Iterator[float]:
    w = START
    while True:
        w = shrunk(w - RATE * w, RATE * l1) / (1 + RATE * l2)
        yield w


def strong_proximal_adagrad(l1: float, l2: float) -> Iterator[float]:
    w, a = START, 0.1
    while True:
        a += w * w
        rate = RATE / math.sqrt(a)
        w = shrunk(w - rate * w, rate * l1) / (1 + rate * l2)
        yield w


STRONG = {
    tf_optimizers.Ftrl: strong_ftrl,
    tf_optimizers.AdagradDA: strong_adagrad_da,
    tf_optimizers.ProximalGradientDescent: strong_proximal_gd,
    tf_optimizers.ProximalAdagrad: strong_proximal_adagrad,
}


@pytest.mark.parametrize("strengths", [(0.5, 0.0), (0.0, 3.0), (0.5, 3.0)])
@pytest.mark.parametrize("kind", STRONG)
def test_the_strengths_shrink_every_step_by_the_formula(
    kind: type[tf_optimizers.TensorFlowOptimizer], strengths: tuple[float, float]
) -> None:
    l1, l2 = strengths
    w = nn.Parameter(torch.tensor(START, dtype=torch.float64))
    expected = list(islice(STRONG[kind](l1, l2), STEPS))
    # A strength that did nothing would leave the trajectory without it.
    plain = list(islice(STRONG[kind](0.0, 0.0), STEPS))
    assert all(
        ours != pytest.approx(other, rel=1e-3) for ours, other in zip(expected, plain, strict=True)
    )
    found = descend(kind([w], lr=RATE, l1=l1, l2=l2), w, STEPS)
    assert found == pytest.approx(expected, rel=1e-12)


def test_l1_makes_small_weights_exactly_zero() -> None:
    for kind in (tf_optimizers.ProximalGradientDescent, tf_optimizers.Ftrl):
        w = nn.Parameter(torch.tensor(0.01, dtype=torch.float64))
        assert descend(kind([w], lr=0.1, l1=1.0, l2=0.0), w, 1) == [0.0]


@pytest.mark.parametrize("name", [n for n in TRAJECTORIES if n not in ("adadelta", "sgd")])
def test_a_plain_family_takes_it_by_name_and_learns(name: str) -> None:
    torch.manual_seed(0)
    model = MLP(
        input_shape=(2,), classes=1, widths=(), optimizer={"name": name, "learning_rate": 1}
    )
    x = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    optimizer = model.configure_optimizers()
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = model.objective(x, torch.tensor([0, 1]))
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("name", ["ftrl", "adagrad_da", "proximal_gd", "proximal_adagrad"])
@pytest.mark.parametrize("setting", [{"momentum": 0.5}, {"epsilon": 1e-3}])
def test_a_setting_without_effect_is_refused(name: str, setting: dict[str, float]) -> None:
    with pytest.raises(UnknownName, match="unknown setting of optimizer"):
        optimizer_settings({"name": name, "learning_rate": RATE, **setting})
