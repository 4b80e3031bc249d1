"""The local engine alone: threads, GPUs in turn, a busy driver, a dying one. Real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from ablation_lab.engines.local import LocalEngine, LocalSettings
from ablation_lab.errors import ConfigurationError
from ablation_lab.training.cost import Limit
from tests.engines.lab import JOBS, PATIENCE, ROOT, Jobs, lives, settings, until

DRIVER = """
import sys
import lab_jobs
from ablation_lab.engines.local import LocalEngine

if __name__ == "__main__":
    with LocalEngine(workers=2) as engine:
        list(engine.map(lab_jobs.announce_and_stay, sys.argv[1:]))
"""


@pytest.mark.usefixtures("fake_torch")
def test_a_worker_that_dies_while_the_driver_is_busy(jobs: Jobs) -> None:
    with LocalEngine(workers=1) as engine:
        results = []
        for done in engine.map(jobs["die"], iter([1, 13, 2, 3])):
            results.append((done.job, done.result))
            if done.job == 1:
                # The pool breaks before the next job is handed to it.
                processes = list(engine._pool._processes.values())
                until(lambda p=processes: not any(each.is_alive() for each in p))
    assert sorted(results, key=str) == [(1, 1), (13, None), (2, 2), (3, 3)]


@pytest.mark.usefixtures("fake_torch")
def test_cancel_ends_the_workers_at_once(jobs: Jobs, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    engine = LocalEngine(workers=1)
    future = engine._pool.submit(jobs["announce_and_stay"], str(mark))
    until(mark.exists)
    assert lives(int(mark.read_text()))
    engine.cancel()
    assert not lives(int(mark.read_text()))
    assert isinstance(future.exception(timeout=PATIENCE), BrokenProcessPool)


@pytest.mark.usefixtures("fake_torch")
def test_cancel_ends_a_worker_that_hears_nothing(jobs: Jobs, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    engine = LocalEngine(workers=1)
    engine._pool.submit(jobs["announce_and_stay"], str(mark))
    until(mark.exists)
    os.kill(int(mark.read_text()), signal.SIGSTOP)
    engine.cancel()
    assert not lives(int(mark.read_text()))


@pytest.mark.usefixtures("fake_torch")
def test_a_job_that_asks_its_own_worker_to_end_is_tried_no_more_at_last(jobs: Jobs) -> None:
    with LocalEngine(workers=1) as engine:
        (done,) = engine.map(jobs["ask_oneself"], [1])
    assert done.result is None
    assert "died twice" in done.error


@pytest.mark.usefixtures("fake_torch")
def test_a_worker_that_is_stopped_is_ended_at_its_limit_and_its_job_done_by_another(
    jobs: Jobs, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    with LocalEngine(workers=1) as engine:
        thread = threading.Thread(target=stop_when, args=(mark, engine))
        thread.start()
        come = engine.map_together(
            jobs["stay_once"], [str(mark)], limit=lambda _: Limit(seconds=2.0)
        )
        ((done,),) = come
        thread.join()
    assert (done.result, done.error) == ("second time", "")


def stop_when(mark: Path, engine: LocalEngine) -> None:
    """Stop the first worker of an engine when its job has left a mark."""
    until(mark.exists)
    os.kill(next(iter(engine._pool._processes)), signal.SIGSTOP)


@pytest.mark.usefixtures("fake_torch")
@pytest.mark.parametrize("stopped", [False, True])
def test_workers_end_when_their_driver_is_killed(tmp_path: Path, stopped: bool) -> None:
    (tmp_path / "lab_jobs.py").write_text(JOBS)
    (tmp_path / "driver.py").write_text(DRIVER)
    marks = [tmp_path / "first", tmp_path / "second"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    driver = subprocess.Popen(
        [sys.executable, "driver.py", *map(str, marks)], cwd=tmp_path, env=environment
    )
    pids: list[int] = []
    try:
        until(lambda: all(mark.exists() for mark in marks))
        pids = [int(mark.read_text()) for mark in marks]
        assert all(lives(pid) for pid in pids)
        if stopped:  # so that they cannot look whether their driver lives
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
        driver.kill()
        driver.wait()
        until(lambda: not any(lives(pid) for pid in pids))
    finally:
        driver.kill()
        driver.wait()
        for pid in filter(lives, pids):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.usefixtures("fake_torch")
@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({}, ["GPU-a", "GPU-b"]),
        ({"gpus": 1, "per_gpu": 2}, ["GPU-a", "GPU-a"]),
        ({"gpus": ["GPU-b"], "workers": 2}, ["GPU-b", "GPU-b"]),
    ],
)
def test_workers_see_one_gpu_each_in_turn(
    jobs: Jobs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, object],
    seen: list[str],
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b")
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    with settings("local", **changes).start(()) as engine:
        assert engine.workers == 2
        # Each waits for the other, so that both workers have one.
        done = list(engine.map(jobs["meet"], [(first, second), (second, first)]))
    assert sorted(str(each.result) for each in done) == seen


@pytest.mark.usefixtures("fake_torch")
def test_a_job_that_runs_apart_has_a_gpu_too(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    with settings("local").start(()) as engine:
        (done,) = engine.map(jobs["die_once"], [str(tmp_path / "mark")])
        (seen,) = engine.map(jobs["meet"], [(str(tmp_path / "a"), str(tmp_path / "a"))])
    assert (done.result, seen.result) == ("second time", "5")


@pytest.mark.usefixtures("fake_torch", "jobs")
def test_a_result_that_does_not_travel_is_an_error_of_its_job() -> None:
    with LocalEngine(workers=1) as engine:
        (done,) = engine.map(open, [os.devnull])
    assert done.result is None
    assert "TypeError: cannot pickle" in done.error


def test_a_worker_sees_all_devices_of_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3,4")
    spread = settings("local", devices_per_run=2)
    assert isinstance(spread, LocalSettings)
    # The one that is left over trains nothing: a run needs two.
    assert spread.devices == ("0,1", "2,3")
    assert spread.expected_workers == 2
    assert spread.accelerators is not None
    assert spread.accelerators.workers == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(ConfigurationError, match=r"devices_per_run: expected at most the 1 CUDA"):
        settings("local", devices_per_run=2).start(())


def test_without_gpus_a_run_may_be_spread_over_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("ablation_lab.engines.devices.cores", lambda: 8)
    spread = settings("local", threads=2, devices_per_run=2)
    assert (spread.expected_workers, spread.accelerators) == (2, None)
