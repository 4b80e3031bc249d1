"""What the tests of the trainers share: a worker's arithmetic, modules of a user's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ablation_lab.training.computing import precision
from lightning_modules.registry import FAMILIES
from tests.training.own_modules import OWN


@pytest.fixture(autouse=True)
def _as_a_worker_computes() -> Iterator[None]:
    with precision(None):
        yield


@pytest.fixture
def _own_modules() -> Iterator[None]:
    """Have the modules of ``own_modules`` registered while a test runs."""
    for name, family in OWN.items():
        FAMILIES.register(name)(family)
    yield
    for name in OWN:
        for kept in (FAMILIES._things, FAMILIES._places, FAMILIES._lines):
            del kept[name]
