"""Slurm itself, with what happens on clusters: jobs requeued, cancelled, nodes lost, time over."""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ablation_lab.engines import slurm
from tests.cli.lab import ended, wait_until
from tests.engines.lab import Jobs, settings
from tests.faults.lab import Many, Results
from tests.faults.slurm import Slurm

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[Slurm]:
    """Start a cluster of one node."""
    with tempfile.TemporaryDirectory(prefix="slurm") as folder:
        running = Slurm(Path(folder))
        yield running
        running.stop()


@pytest.fixture(autouse=True)
def asked_often(cluster: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Find the cluster, and ask it for states more often than one asks a large one."""
    monkeypatch.setenv("SLURM_CONF", str(cluster.conf))
    monkeypatch.setattr(slurm, "ASK", 2.0)
    monkeypatch.setattr(slurm, "LATE", 2.0)


def test_jobs_of_an_array_without_a_word_though_there_is_no_accounting(
    jobs: Jobs,
    fake_torch: None,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with settings("slurm", folder=str(tmp_path / "slurm"), workers=4).start(()) as engine:
        done = list(engine.map(jobs["double"], range(8), cost=lambda _: 150.0))
    assert sorted((each.job, each.result) for each in done) == [(n, 2 * n) for n in range(8)]
    assert capfd.readouterr() == ("", "")


def broken(cluster: Slurm, mark: Path, how: Callable[[str], object]) -> threading.Thread:
    """Do something with the job that left a mark, once."""

    def act() -> None:
        cluster.until(mark.exists)
        how(cluster.jobs("--states=RUNNING")[0])

    thread = threading.Thread(target=act)
    thread.start()
    return thread


def node_lost(cluster: Slurm) -> None:
    cluster.kill_node()
    cluster.until(lambda: "down" in cluster.said("sinfo", "--noheader", "--format=%T"))
    cluster.start_node()


HOW: dict[str, Callable[[Slurm, str], object]] = {
    "requeued": lambda cluster, job: cluster.said("scontrol", "requeue", job),
    "cancelled": lambda cluster, job: cluster.said("scancel", job),
    "killed": lambda cluster, job: cluster.said("scancel", "--signal=KILL", "--full", job),
    "node lost": lambda cluster, job: node_lost(cluster),
}


@pytest.mark.parametrize("how", HOW)
def test_a_job_that_is_broken_off_is_done_by_another_one(
    cluster: Slurm,
    jobs: Jobs,
    fake_torch: None,
    tmp_path: Path,
    how: str,
) -> None:
    mark = tmp_path / "mark"
    thread = broken(cluster, mark, lambda job: HOW[how](cluster, job))
    with settings("slurm", folder=str(tmp_path / "slurm"), workers=1).start(()) as engine:
        (done,) = engine.map(jobs["stay_once"], [str(mark)])
    thread.join()
    assert (done.result, done.error) == ("second time", "")
    cluster.until(lambda: cluster.jobs() == [])


def test_jobs_wait_for_a_node_that_is_drained(
    cluster: Slurm,
    jobs: Jobs,
    fake_torch: None,
    tmp_path: Path,
) -> None:
    node = ("scontrol", "update", f"nodename={cluster.host}")
    back = threading.Timer(8.0, lambda: cluster.said(*node, "state=resume"))
    with settings("slurm", folder=str(tmp_path / "slurm"), workers=2).start(()) as engine:
        cluster.said(*node, "state=drain", "reason=test")
        back.start()
        done = list(engine.map(jobs["double"], [1, 2]))
    assert sorted(each.result for each in done) == [2, 4]
    assert not back.is_alive()


def test_a_job_whose_time_is_over_is_tried_once_more_and_failed(
    cluster: Slurm,
    jobs: Jobs,
    fake_torch: None,
    tmp_path: Path,
) -> None:
    short = settings("slurm", folder=str(tmp_path / "slurm"), workers=1, time=1)
    with short.start(()) as engine:
        (done,) = engine.map(jobs["hold"], [1])
    assert "the Slurm job died twice: state " in done.error
    cluster.until(lambda: cluster.jobs() == [])


def test_a_study_on_slurm_is_the_same_and_ctrl_c_leaves_no_job(
    cluster: Slurm, many: Many, undisturbed: Results
) -> None:
    words = ("engine=slurm", "engine.workers=2", "engine.batch_minutes=0.01")
    runner = many.start(*words)
    wait_until(lambda: runner.poll() is not None or many.finished() > 1, what="runs")
    runner.send_signal(signal.SIGINT)
    stopped = ended(runner)
    assert (stopped.status, stopped.err) == (130, "stopped; everything finished so far is kept\n")
    cluster.until(lambda: cluster.jobs() == [])
    last = many.call(*words)
    assert (last.status, last.err) == (0, "")
    many.assert_whole(undisturbed)
