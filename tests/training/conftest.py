"""What the tests of the trainers share: the arithmetic that a worker trains in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ablation_lab.training.computing import precision


@pytest.fixture(autouse=True)
def _as_a_worker_computes() -> Iterator[None]:
    with precision(None):
        yield
