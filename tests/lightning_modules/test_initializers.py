"""Initialisers: the formulas, the seeds, the pieces."""

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.initializers import fans, initialize
from lightning_modules.mlp import MLPNetwork
from lightning_modules.registry import INITIALIZERS, UnknownName
from tests.lightning_modules.properties import check_initializer

DENSE = (400, 300)
CONV = (64, 32, 3, 3)
# name -> variance, from fan_in and fan_out
VARIANCES = {
    "normal": lambda i, o: 1.0,
    "normal_001": lambda i, o: 1e-4,
    "uniform": lambda i, o: 1 / 3,
    "xavier_uniform": lambda i, o: 2 / (i + o),
    "xavier_fan_in": lambda i, o: 1 / i,
    "xavier_caffe": lambda i, o: 1 / i,
    "torch_default": lambda i, o: 1 / (3 * i),
    "he_normal": lambda i, o: 2 / i,
    "orthonormal_he": lambda i, o: 2 / i,
    "zeros": lambda i, o: 0.0,
}
ORTHONORMAL = ("orthonormal", "lsuv")


def drawn(name: str, shape: tuple[int, ...], *, seed: int = 0) -> Tensor:
    weight = torch.full(shape, torch.nan)
    INITIALIZERS.get(name)(weight, generator=torch.Generator().manual_seed(seed))
    return weight


def network(**settings: object) -> MLPNetwork:
    return MLPNetwork(**({"inputs": 40, "outputs": 3, "widths": (30, 20)} | settings))


@pytest.mark.parametrize("name", INITIALIZERS.names())
def test_what_holds_of_every_initializer(name: str) -> None:
    check_initializer(name)


@pytest.mark.parametrize("shape", [DENSE, CONV])
@pytest.mark.parametrize("name", VARIANCES)
def test_the_variance_is_what_the_formula_says(name: str, shape: tuple[int, ...]) -> None:
    weight = drawn(name, shape)
    expected = VARIANCES[name](*fans(weight))
    # 18,432 draws at least: the standard error of a normal variance is 1 %, so this is 5 of them.
    assert float(weight.square().mean()) == pytest.approx(expected, rel=0.05)
    assert abs(float(weight.mean())) <= 5 * (expected / weight.numel()) ** 0.5


def test_fans_of_dense_and_convolution() -> None:
    assert fans(torch.empty(DENSE)) == (300, 400)
    assert fans(torch.empty(CONV)) == (32 * 9, 64 * 9)


@pytest.mark.parametrize(
    ("name", "limit"), [("uniform", 1.0), ("xavier_uniform", (6 / 700) ** 0.5)]
)
def test_uniform_draws_fill_their_interval_and_stay_inside(name: str, limit: float) -> None:
    weight = drawn(name, DENSE)
    assert 0.999 * limit < float(weight.abs().max()) <= limit * (1 + 1e-6)


@pytest.mark.parametrize("name", ORTHONORMAL)
@pytest.mark.parametrize("shape", [(20, 50), (50, 20), (30, 30), (16, 4, 3, 3), (60, 4, 3, 3)])
def test_rows_or_columns_are_orthonormal(name: str, shape: tuple[int, ...]) -> None:
    matrix = drawn(name, shape).flatten(1)
    product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    torch.testing.assert_close(product, torch.eye(min(matrix.shape)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(20, 50), (50, 20)])
def test_scaled_orthonormal_has_exactly_the_he_mean_square(shape: tuple[int, int]) -> None:
    mean_square = drawn("orthonormal_he", shape).square().mean()
    assert float(mean_square) == pytest.approx(2 / shape[1], rel=1e-5)


@pytest.mark.parametrize("name", INITIALIZERS.names())
def test_the_same_seed_gives_the_same_bits(name: str) -> None:
    first, second = network(), network()
    for each in (first, second):
        torch.rand(7)  # the global random state must not matter
        initialize(each, weight=name, bias="normal", seed=0)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", [n for n in (*VARIANCES, *ORTHONORMAL) if n != "zeros"])
def test_another_seed_gives_other_numbers_everywhere(name: str) -> None:
    first, second = network(), network()
    initialize(first, weight=name, bias="normal", seed=0)
    initialize(second, weight=name, bias="normal", seed=1)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert (a != b).float().mean() > 0.99


def test_normal_he_and_xavier_fan_in_are_one_draw_scaled() -> None:
    networks = {name: network() for name in ("normal", "he_normal", "xavier_fan_in", "normal_001")}
    for name, each in networks.items():
        initialize(each, weight=name, bias="zeros", seed=3)
    for layer, unit in enumerate(networks["normal"].linears):
        factors = {
            "he_normal": (2 / unit.in_features) ** 0.5,
            "xavier_fan_in": (1 / unit.in_features) ** 0.5,
            "normal_001": 0.01,
        }
        for name, factor in factors.items():
            torch.testing.assert_close(networks[name].linears[layer].weight, unit.weight * factor)


def test_a_draw_depends_on_name_and_shape_not_on_the_rest_of_the_network() -> None:
    deep, shallow = network(widths=(30, 20, 20), activation="tanh"), network(widths=(30,))
    for each in (deep, shallow):
        initialize(each, weight="he_normal", bias="normal", seed=5)
    assert torch.equal(deep.linears[0].weight, shallow.linears[0].weight)
    assert torch.equal(deep.linears[0].bias, shallow.linears[0].bias)


def test_parameters_of_equal_shape_differ() -> None:
    each = network(widths=(30, 30, 30))
    initialize(each, weight="normal", bias="normal", seed=0)
    assert not torch.equal(each.linears[1].weight, each.linears[2].weight)


def test_each_maxout_piece_is_a_weight_of_its_own() -> None:
    each = network(inputs=200, widths=(100,), activation="maxout")
    initialize(each, weight="xavier_uniform", bias="zeros", seed=0)
    first, second = each.linears[0].weight.chunk(2)
    limit = (6 / (200 + 100)) ** 0.5
    for piece in (first, second):
        assert 0.99 * limit < float(piece.detach().abs().max()) <= limit * (1 + 1e-6)
    assert not torch.equal(first, second)
    initialize(each, weight="orthonormal", bias="zeros", seed=0)
    for piece in each.linears[0].weight.chunk(2):
        torch.testing.assert_close(piece @ piece.T, torch.eye(100), atol=1e-5, rtol=0)


def test_plain_torch_layers_of_other_networks_are_initialised_too() -> None:
    foreign = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.Flatten(), nn.Linear(16, 2))
    initialize(foreign, weight={"conv": "zeros", "dense": "normal"}, bias="zeros", seed=0)
    assert float(foreign[0].weight.detach().abs().sum()) == 0
    assert float(foreign[2].weight.detach().abs().sum()) > 0
    assert float(foreign[2].bias.detach().abs().sum()) == 0


def test_unknown_names_and_keys() -> None:
    with pytest.raises(UnknownName, match="nearest: 'he_normal'"):
        initialize(network(), weight="he_norml", bias="zeros", seed=0)
    with pytest.raises(ValueError, match="nearest: 'dense'"):
        initialize(network(), weight={"conv": "zeros", "dens": "zeros"}, bias="zeros", seed=0)
    with pytest.raises(ValueError, match="found no 'conv'"):
        initialize(network(), weight={"dense": "zeros"}, bias="zeros", seed=0)


def test_a_bias_has_no_fans() -> None:
    with pytest.raises(ValueError, match=r"'he_normal' for linears\.0\.bias.*take 'zeros'"):
        initialize(network(), weight="zeros", bias="he_normal", seed=0)


def test_an_initializer_of_ones_own_sees_weight_and_generator() -> None:
    try:

        @INITIALIZERS.register("ones")
        def ones(weight: Tensor, *, generator: torch.Generator) -> None:
            weight.fill_(1.0)

        each = network()
        initialize(each, weight="ones", bias="zeros", seed=0)
        assert float(each.linears[0].weight.detach().mean()) == 1.0
    finally:
        INITIALIZERS._things.pop("ones")
