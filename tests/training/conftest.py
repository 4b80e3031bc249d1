"""What the tests of the trainers share: a worker's arithmetic, modules of a user's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ablation_lab.training.computing import precision
from ablation_lab.training.surroundings import restored
from tests.training.own_modules import OWN, registered


@pytest.fixture(autouse=True)
def _as_a_worker_computes() -> Iterator[None]:
    with restored(), precision(None):
        yield


@pytest.fixture
def _own_modules() -> Iterator[None]:
    """Have the modules of ``own_modules`` registered while a test runs."""
    with registered(OWN):
        yield
