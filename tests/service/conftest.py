"""One service for the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.service.lab import Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return a service that carries out one study at a time."""
    service = Service(tmp_path_factory.mktemp("service"))
    yield service
    assert service.stop() in (0, 143)
