"""The Ray engine alone: shares of a GPU, a package sent to the nodes, a node that is lost."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest
from mlflow import MlflowClient

from ablation_lab.engines.ray_cluster import room
from ablation_lab.training.cost import Accelerators
from tests.cli.lab import Lab
from tests.engines.lab import (
    Jobs,
    free_address,
    settings,
    start_ray_node,
    stop,
    until,
)

# On a CPU each of these networks trains by itself.
IMAGES = {
    "title": "Small convolutions",
    "question": "Do they share a card?",
    "source": "a test",
    "metric": "test_accuracy",
    "run": {
        "model": {"family": "convnet", "channels": [2], "dense": [], "kernel": 3},
        "data": {"name": "digits", "train_size": 100},
        "optimizer": {"name": "adam", "learning_rate": 0.01},
        "training": {"epochs": 1, "batch_size": 20},
    },
    "factors": {"init": {"key": "model.init", "levels": ["normal", "he_normal"]}},
    "profiles": {"smoke": {"replicates": 2}},
}

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
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Accelerators(workers=2, bytes=8 << 30, measured=False)),
        (
            {"gpus": 1, "per_gpu": 2},
            Accelerators(workers=2, bytes=4 << 30, measured=False, sharing=2),
        ),
        ({"gpus": 0}, None),
    ],
)
def test_an_engine_that_has_started_knows_the_cards_of_its_cluster(
    ray_cluster: str, changes: dict[str, object], expected: Accelerators | None
) -> None:
    with settings("ray", address=ray_cluster, **changes).start(()) as engine:
        assert engine.accelerators == expected


@pytest.mark.slow
def test_what_only_cards_stack_is_stacked_on_all_cards_of_a_cluster(
    ray_cluster: str, tmp_path: Path
) -> None:
    lab = Lab(tmp_path)
    lab.declare("images", IMAGES)
    arguments = ("study=images", "reports=null", "engine=ray", f"engine.address={ray_cluster}")
    planned = lab.plan(*arguments)
    assert "4 × single, 1 run each: convolutions" in planned.out
    assert f"\nplanned without GPUs: those of the cluster at {ray_cluster} are" in planned.out
    call = lab.call(*arguments)
    assert (call.status, call.err) == (0, "")
    store = MlflowClient(lab.uri)
    tags = [store.get_run(run.run_id).data.tags for run in lab.runs("images")]
    assert [each["ablation.trainer"] for each in tags] == ["stacked"] * 4
    # Each of the two cards has its part of the four runs.
    assert "2 for each of 2 workers" in tags[0]["ablation.provenance"]


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
