"""Ray on two nodes of the loopback, of which workers, a node and at last the head are killed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.lab import ended, wait_until
from tests.engines.lab import free_address, start_ray_node, stop
from tests.faults.lab import Many, Results

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_token")]
Node = subprocess.Popen[bytes]


class Cluster:
    """A head without room, and two nodes with room for one worker each."""

    def __init__(self, folder: Path) -> None:
        self.address, self._folder = free_address(), folder
        self.head = start_ray_node(folder / "head", self.address, "--head", "--num-cpus=0")
        self.nodes = [self.start_node(f"node {n}") for n in range(2)]

    def start_node(self, name: str) -> Node:
        """Start one more node."""
        return start_ray_node(self._folder / name, self.address, "--num-cpus=1")

    def stop(self) -> None:
        """End what is left."""
        for node in [*self.nodes, self.head]:
            if node.poll() is None:
                stop(node)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Start a cluster."""
    running = Cluster(tmp_path)
    yield running
    running.stop()


def workers() -> list[int]:
    """Return the processes of actors of the lab, and those that they watch."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if command.startswith(b"ray::_Worker"):
            found.append(int(path.name))
    return found


def test_workers_and_a_node_that_are_killed_lose_nothing_and_a_head_ends_the_call_in_one_line(
    many: Many, cluster: Cluster, undisturbed: Results
) -> None:
    words = ("engine=ray", f"engine.address={cluster.address}", "engine.workers=2")
    runner = many.start(*words)
    wait_until(lambda: runner.poll() is not None or many.finished() > 1, what="runs")
    for worker in workers():
        os.kill(worker, signal.SIGKILL)
    kept = many.finished()
    wait_until(lambda: runner.poll() is not None or many.finished() > kept, what="more runs")
    os.killpg(cluster.nodes[0].pid, signal.SIGKILL)
    kept = many.finished()
    wait_until(lambda: runner.poll() is not None or many.finished() > kept, what="more runs")
    os.killpg(cluster.head.pid, signal.SIGKILL)
    outcome = ended(runner)
    assert outcome.status == 1, outcome
    assert outcome.err.count("\n") == 1, outcome
    last = many.call()
    assert (last.status, last.err) == (0, "")
    many.assert_whole(undisturbed)
