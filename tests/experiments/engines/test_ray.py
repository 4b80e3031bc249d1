"""The Ray engine alone: shares of a GPU, a package sent to the nodes, a node that is lost."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from experiments.engines.ray_cluster import room
from tests.experiments.engines.lab import (
    Jobs,
    free_address,
    settings,
    start_ray_node,
    stop,
    until,
)

# A package that a study brings along; it says from where it was imported.
PLUGIN = """
def whereabouts(number):
    return __file__
"""


class Nodes:
    """As much of Ray as says what nodes there are."""

    def __init__(self, *resources: dict[str, float]) -> None:
        self._resources = resources

    def nodes(self) -> list[dict[str, object]]:
        alive = [{"Alive": True, "Resources": resources} for resources in self._resources]
        return [*alive, {"Alive": False, "Resources": {"CPU": 99, "GPU": 99}}]


@pytest.mark.parametrize(
    ("threads", "gpus", "per_gpu", "share", "workers"),
    [
        (1, 0, 1, 0.0, 10),  # every CPU
        (4, 0, 1, 0.0, 2),  # a worker's CPUs lie on one node
        (1, None, 1, 1.0, 3),  # every GPU
        (1, None, 3, 0.3333, 8),  # six on the node with two, but for its CPUs five
        (1, 2, 3, 0.3333, 6),
        (8, None, 1, 1.0, 0),
    ],
)
def test_room_of_a_cluster(
    threads: int, gpus: int | None, per_gpu: int, share: float, workers: int
) -> None:
    cluster = Nodes({"CPU": 5, "GPU": 2}, {"CPU": 4, "GPU": 1}, {"CPU": 1})
    if workers:
        assert room(cluster, "engine", threads, gpus, per_gpu) == (share, workers)
        assert share * per_gpu <= 1
    else:
        with pytest.raises(ValueError, match="no node of the cluster has 8 CPUs"):
            room(cluster, "engine", threads, gpus, per_gpu)


@pytest.mark.slow
@pytest.mark.usefixtures("fake_torch")
def test_two_workers_share_a_gpu(ray_cluster: str, jobs: Jobs, tmp_path: Path) -> None:
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    with settings("ray", address=ray_cluster, gpus=1, per_gpu=2).start(()) as engine:
        assert engine.workers == 2
        done = list(engine.map(jobs["meet"], [(first, second), (second, first)]))
    (seen,) = {each.result for each in done}
    assert seen in ("0", "1")


@pytest.mark.slow
@pytest.mark.usefixtures("fake_torch")
def test_a_plugin_is_sent_to_the_nodes(
    ray_cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "brought_along.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    import brought_along

    try:
        with settings("ray", address=ray_cluster).start(("brought_along",)) as engine:
            (done,) = engine.map(brought_along.whereabouts, [0])
    finally:
        del sys.modules["brought_along"]
    assert done.error == ""
    # Not from the folder here, which another node need not have.
    assert "py_modules_files" in str(done.result)


@pytest.mark.slow
@pytest.mark.usefixtures("fake_torch", "ray_token")
def test_a_job_survives_the_loss_of_its_node(jobs: Jobs, tmp_path: Path) -> None:
    address = free_address()
    mark = tmp_path / "mark"
    nodes = [start_ray_node(tmp_path / "head", address, "--head", "--num-cpus=0")]
    try:
        lost = start_ray_node(tmp_path / "lost", address, "--num-cpus=1")

        def lose() -> None:
            until(mark.exists)
            stop(lost)
            nodes.append(start_ray_node(tmp_path / "other", address, "--num-cpus=1"))

        loss = threading.Thread(target=lose)
        with settings("ray", address=address, workers=1).start(()) as engine:
            loss.start()
            (done,) = engine.map(jobs["stay_once"], [str(mark)])
            loss.join()
    finally:
        for node in reversed(nodes):
            stop(node)
    assert (done.result, done.error) == ("second time", "")
