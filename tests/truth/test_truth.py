"""A module of a user's own trains as a plain ``pl.Trainer`` trains it, bit for bit."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch

from tests.truth.lab import Fitted, Truth
from tests.truth.project.truth_modules import CASES

Both = tuple[Fitted, Fitted]
# Of more epochs than this the lab may keep fewer points.
POINTS = 20


@pytest.fixture(scope="session")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    """Return every case, fitted by the lab and by a plain trainer."""
    truth = Truth(tmp_path_factory.mktemp("truth") / "project", CASES.values())
    truth.fit()
    return truth


@pytest.fixture(params=CASES)
def both(request: pytest.FixtureRequest, truth: Truth) -> Both:
    """Return what became of a case in the lab, and without it."""
    case = CASES[request.param]
    return truth.lab(case), truth.plain(case)


def test_its_hooks_are_called_in_the_same_order(both: Both) -> None:
    lab, plain = both
    assert lab.told == plain.told
    assert lab.tested == plain.tested


def test_it_ends_with_the_same_parameters_and_buffers(both: Both) -> None:
    lab, plain = both
    assert lab.state.keys() == plain.state.keys()
    assert not [name for name, value in plain.state.items() if not same(lab.state[name], value)]


def test_it_has_the_same_curves(both: Both) -> None:
    lab, plain = both
    expected = own_names(plain.curves)
    assert expected
    for name in expected - own_names(plain.metrics):
        points, found = plain.curves[name], lab.curves[name]
        assert found[-1] == points[-1], name
        assert found == points if len(points) <= POINTS else set(found) < set(points), name


def test_it_has_the_same_metrics(both: Both) -> None:
    lab, plain = both
    found = {name: lab.metrics[name] for name in own_names(plain.metrics)}
    assert found == {name: plain.metrics[name] for name in found}


def own_names(names: Iterable[str]) -> set[str]:
    """Return the names that a module gave what it logs; Lightning adds _step and _epoch to some."""
    every = set(names)
    return {
        name
        for name in every
        if name.removesuffix("_step").removesuffix("_epoch") not in every - {name}
    }


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)
