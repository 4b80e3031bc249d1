"""Every check against an independent computation, and the way of a check through the lab."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise
from math import inf, log10, sqrt
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import binom
from torch.nn import functional

from ablation_lab.data import DATASETS
from ablation_lab.errors import ConfigurationError
from ablation_lab.study.declare import declare
from ablation_lab.study.metric import CHECKS, compute
from ablation_lab.study.record import Status
from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.study.schema import parse_study
from ablation_lab.study.settings import resolve
from ablation_lab.training.execute import execute
from ablation_lab.training.plan import estimated, plan
from experiments.checks.shapes import output_size
from lightning_modules.registry import OPTIMIZERS, Registry, UnknownName
from tests.study.changed import edited, keys

OVER_DATA = (
    "mnist_sizes", "mnist_split", "mnist_facts", "mnist_keras_shapes", "cifar10_shapes",
    "diabetes_size", "diabetes_first_row", "zoo_shapes",
)  # fmt: skip
PLAIN = [name for name in CHECKS.names() if name not in OVER_DATA]


def value(name: str) -> tuple[float, ...]:
    return compute({"check": {"name": name}}, None)


def dense(*widths: int) -> int:
    return sum(a * b + b for a, b in pairwise(widths))


def convolved(size: int, **settings: int) -> int:
    return functional.conv2d(
        torch.zeros(1, 1, size, size), torch.ones(1, 1, 3, 3), **settings
    ).shape[-1]


def network(x: tuple[int, int]) -> list[float]:
    """Return z and sigmoid(z) of the hand-made XOR network, by numpy."""
    first, second = np.array([[5, 5], [-7, -7]]) @ x + [-8, 3]
    out = 6 - 11 * np.sum([first > 0, second > 0])
    return [v for z in (first, second, out) for v in (float(z), float(1 / (1 + np.exp(-z))))]


SCORES = torch.tensor([2.0, 1.0, 0.1], dtype=torch.float64)
POINTS = torch.tensor([[1, 2], [2, 3], [3, 1], [4, 3], [5, 3], [6, 2]], dtype=torch.float64)
ORACLES: dict[str, Callable[[], Any]] = {
    "sigmoid_of_scores": lambda: torch.sigmoid(SCORES),
    "softmax_of_scores": lambda: torch.softmax(SCORES, 0),
    "cross_entropy_one_hot": lambda: [0, inf, 0, inf],
    "likelihood_products": lambda: [84e-4, 3024e-4],
    "log_terms_bad_model": lambda: np.log10([0.6, 0.2, 0.1, 0.7]),
    "cross_entropy_bad_model": lambda: -log10(0.0084),
    "cross_entropy_good_model": lambda: -log10(0.3024),
    "conv_7x7_stride_1": lambda: convolved(7),
    "conv_7x7_stride_2": lambda: convolved(7, stride=2),
    "conv_7x7_stride_3": lambda: 7 / 3,
    "conv_7x7_pad_1": lambda: convolved(7, padding=1),
    "conv_strides": lambda: [5, 5 * 5, 3, 3 * 3],
    "alexnet_conv1_weights": lambda: 11 * 11 * 3 * 96,
    "alexnet_parameters": lambda: sum(
        (k * k * a + 1) * b
        for k, a, b in ((11, 3, 96), (5, 96, 256), (3, 256, 384), (3, 384, 384), (3, 384, 256))
    ) + dense(6 * 6 * 256, 4096, 4096, 1000),
    "alphago_parameters": lambda: (25 * 48 + 1) * 192 + 11 * (9 * 192 + 1) * 192 + 192 + 361,
    "inception_3a": lambda: [
        64 + 128 + 32 + 32, 28,
        sum((k * k * a + 1) * b for k, a, b in (
            (1, 192, 64), (1, 192, 96), (3, 96, 128), (1, 192, 16), (5, 16, 32), (1, 192, 32)
        )),
    ],
    "mlp_total": lambda: dense(784, 256, 256, 256, 10),
    "mlp_dense_1": lambda: dense(784, 256),
    "mlp_dense_4": lambda: dense(256, 10),
    "cnn_total": lambda: 10 * 32 + 289 * 64 + 3137 * 10,
    "dense_connections": lambda: 25 * 16 + 16 * 16 + 16 * 9 + 9 * 9,
    "xor_handmade_00": lambda: network((0, 0)),
    "xor_handmade_01": lambda: network((0, 1)),
    "xor_handmade_10": lambda: network((1, 0)),
    "xor_handmade_11": lambda: network((1, 1)),
    "xor_handmade": lambda: [*(z for x in np.ndindex(2, 2) for z in network(x)[::2]), 0, 1, 1, 0],
    "square_error_gradient": lambda: [2 * (w - 1) for w in (-2, 0, 1, 3)],
    "vanishing_product": lambda: 0.25**4 * 0.16**2 * 0.24**2 * 0.21 * 0.09,
    "backprop_example": lambda: [1, 1, 5, -2, -2, 5],
    "l2_coefficient": lambda: 0.001,
    "xavier_spread": lambda: sqrt(2 * 784 / (784 + 256)),
    "he_spread": lambda: 1.0,
    "ensemble_sum": lambda: [0.12, 0.52, 0.14, 1.9, 3],
    "logistic_6_points_predictions": lambda: torch.sigmoid(
        POINTS @ torch.tensor([1.4663278, 0.3097024], dtype=torch.float64) - 5.5251
    ),
    "rcnn_boxes_gain": lambda: [1003.3 / 20, 1073.7 / 20, 20, 2 * binom.cdf(0, 20, 0.5)],
    "voc2010_regionlets": lambda: 792.7 / 20,
    "resnet_at_most_3_percent": lambda: 0,
    "training_set_sizes": lambda: [6e4, 5e4, 142e5],
    "sigmoid_factors": lambda: 2 * 10,
    "rcnn_time": lambda: [2e5, 2e5 / 3600],
    "lda_direction": lambda: [1, 1],
    "quadratic_interpolation": lambda: [3, 0],
}  # fmt: skip
# A sample's standard deviation over 200,704 weights, float32 sums, and otherwise rounding.
TOLERANCE = {"xavier_spread": 0.01, "he_spread": 0.01, "ensemble_sum": 1e-6, "lda_direction": 1e-6}


@pytest.mark.parametrize("name", ORACLES)
def test_a_check_agrees_with_another_computation(name: str) -> None:
    expected = np.atleast_1d(np.asarray(ORACLES[name](), dtype=float))
    np.testing.assert_allclose(value(name), expected, rtol=TOLERANCE.get(name, 1e-9), atol=1e-12)


@pytest.mark.parametrize("name", PLAIN)
def test_every_check_gives_numbers_twice_the_same(name: str) -> None:
    first = value(name)
    assert len(first) >= 1
    assert first == value(name)


def test_the_sentence_can_be_read_back() -> None:
    # The printed char2idx, and the printed sentence, written here a second time.
    symbols = dict(enumerate("enmJ yhsigKM.oa"))
    read = "".join(symbols[int(i)] for i in value("sentence_indices"))
    assert read == " My name is Joongheon Kim."
    assert value("sentence_sizes") == (len(set(read)), len(read) - 1)


@pytest.mark.parametrize(
    ("check", "data", "other", "expected"),
    [
        ("sentence_sizes", "name_text", "hihello", (5, 6)),
        ("hihello_one_hot", "hihello", "name_text", (15, 15, 25)),
        ("ramp_shapes", "ramp", "line2", (4, 2, 4, 1, 1)),
    ],
)
def test_a_check_of_a_sequence_reads_the_data_that_trains(
    check: str, data: str, other: str, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DATASETS._things, data, DATASETS.get(other))
    assert value(check) == expected


def test_the_optimisers_that_are_offered_step_as_tensorflow_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert value("optimizers_offered") == (10.0,)
    names = tuple(name for name in OPTIMIZERS.names() if name != "adam_tf")
    monkeypatch.setattr(Registry, "names", lambda _: names)
    assert value("optimizers_offered") == (9.0,)


def test_what_does_not_fit_is_no_whole_number() -> None:
    assert not output_size(7, 3, stride=3).is_integer()
    assert all(output_size(n, 3).is_integer() for n in range(3, 20))


def test_a_check_of_nothing_or_of_nan_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for broken in ([], [float("nan")]):
        monkeypatch.setitem(CHECKS._things, "and_gate", lambda given=broken: given)
        with pytest.raises(ValueError, match="check 'and_gate': expected numbers"):
            value("and_gate")


@pytest.fixture
def declaration() -> dict[str, Any]:
    return {
        "title": "Checks", "question": "Do they hold?", "source": "a test", "metric": "value_0",
        "run": {}, "factors": {"check": {"key": "check.name", "levels": ["and_gate", "or_gate"]}},
        "profiles": {"smoke": {"replicates": 1}},
    }  # fmt: skip


@pytest.fixture
def runs(declaration: dict[str, Any]) -> tuple[Run, ...]:
    return declare(parse_study("small", declaration), "smoke").runs


def test_checks_are_one_stack_that_computes(runs: tuple[Run, ...]) -> None:
    (stack,) = plan(runs, data_root=None, plugins=())
    assert stack.trainer is TrainerName.COMPUTED
    assert 0 < estimated(stack) < 1
    records = execute(stack)
    assert [record.run for record in records] == list(runs)
    assert all(record.status is Status.FINISHED for record in records)
    assert records[0].metrics["value_3"] == 0.5
    assert len(records[0].metrics) == 8


def test_a_check_that_raises_fails_alone(
    runs: tuple[Run, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> list[float]:
        raise ArithmeticError("no number today")

    monkeypatch.setitem(CHECKS._things, "and_gate", broken)
    stack = Stack(runs, TrainerName.COMPUTED, "a test")
    failed, finished = execute(stack)
    assert failed.status is Status.FAILED
    assert failed.reason.startswith("check 'and_gate', computing it (tests/experiments/checks/")
    assert failed.reason.endswith(" in broken): ArithmeticError: no number today")
    assert "no number today" in failed.error
    assert finished.status is Status.FINISHED


def test_a_key_follows_the_code_of_its_own_check() -> None:
    runs = {n: {"check": {"name": n}} for n in ("and_gate", "xor_handmade", "conv_strides")}
    before = keys(runs)
    assert len(set(before.values())) == 3
    after = keys(runs, edited(("experiments/checks/by_hand.py", "gate, -1.5", "gate, -1.6")))
    assert {name for name in before if before[name] != after[name]} == {"and_gate"}


def test_an_unknown_check_is_refused_before_anything_starts(declaration: dict[str, Any]) -> None:
    value = copy.deepcopy(declaration)
    value["factors"]["check"]["levels"] = ["and_gat"]
    study = parse_study("small", value)
    with pytest.raises(UnknownName, match="unknown check 'and_gat'; nearest: 'and_gate'"):
        declare(study, "smoke")


@pytest.mark.parametrize(
    ("base", "line"),
    [
        ({"check": {"name": "a"}, "model": {"family": "mlp"}}, r"unknown key 'model'"),
        ({"check": {"nmae": "a"}}, r"unknown key 'nmae'; nearest: 'name'"),
        ({"check": {"name": "a"}, "data": {"name": "xro"}}, r"unknown name 'xro'; nearest: 'xor'"),
    ],
)
def test_a_wrong_check_is_one_line(base: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigurationError, match=line):
        resolve(base, [], "study/small.yaml: a")
