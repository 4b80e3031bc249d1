"""One service for all tests, and one study that it has carried out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ablation_lab import Server
from ablation_lab.service.client import Submitted
from tests.service.lab import HOSTILE, Service, study


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return a service that carries out one study at a time."""
    service = Service(tmp_path_factory.mktemp("service"))
    yield service
    assert service.stop() in (0, 143)


@pytest.fixture(scope="session")
def done(service: Service) -> Submitted:
    """Return a study that was submitted, and waited for."""
    path, server = service.declare("width", study(f"From its file {HOSTILE}")), Server(service.url)
    assert "2 cells, 4 runs: 0 done, 4 to do" in server.plan(path)["plan"][0]
    asked = server.submit(path, profile="smoke").wait()
    assert server.submit(path).id == asked.id
    return asked
