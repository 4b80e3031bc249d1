"""Every engine by name, a Ray cluster for the session, and functions that workers can import."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ablation_lab.engines.contract import Engine
from tests.engines.lab import (
    FAKE_TORCH,
    JOBS,
    Jobs,
    Start,
    free_address,
    settings,
    start_ray_node,
    stop,
)

NAMES = ["local", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ray", "slurm"))]


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    """Return functions that workers can import."""
    (tmp_path / "lab_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(str(tmp_path))
    import lab_jobs

    yield vars(lab_jobs)
    del sys.modules["lab_jobs"]


@pytest.fixture
def fake_torch(tmp_path: Path) -> None:
    """Spare workers the seconds that importing torch takes."""
    (tmp_path / "torch.py").write_text(FAKE_TORCH)


@pytest.fixture(params=NAMES)
def engine_name(request: pytest.FixtureRequest) -> str:
    """Return the name of each engine in turn."""
    return str(request.param)


@pytest.fixture
def engine_changes(
    engine_name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> dict[str, object]:
    """Return the settings with which an engine works on a machine without a cluster."""
    match engine_name:
        case "ray":
            return {"address": request.getfixturevalue("ray_cluster")}
        case "slurm":
            return {"executor": "local", "folder": str(tmp_path / "slurm")}
    return {}


@pytest.fixture
def start(engine_name: str, engine_changes: dict[str, object]) -> Start:
    """Return a function that starts the engine with some settings changed."""

    def started(**changes: object) -> Engine:
        return settings(engine_name, **engine_changes, **changes).start(())

    return started


@pytest.fixture(scope="session")
def ray_token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let nobody else use the clusters of this session."""
    token = tmp_path_factory.mktemp("token") / "token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
        yield


@pytest.fixture(scope="session")
def ray_cluster(ray_token: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a Ray cluster of two CPUs that claims to have two GPUs."""
    folder = tmp_path_factory.mktemp("ray")
    address = free_address()
    head = start_ray_node(folder / "log", address, "--head", "--num-cpus=2", "--num-gpus=2")
    yield address
    stop(head)
