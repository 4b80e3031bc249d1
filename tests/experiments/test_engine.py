"""The local engine: results, failures, dying workers, dying drivers. Real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from itertools import count, islice
from pathlib import Path

import pytest

from experiments.engines.local import AHEAD, LocalEngine

ROOT = Path(__file__).resolve().parents[2]
# What workers run. It is a file of its own: workers import it by name.
JOBS = '''
import os
import time
from pathlib import Path


def double(number):
    if number < 0:
        raise ValueError(f"negative: {number}")
    return 2 * number


def die(number):
    """End the worker at 13, with another job in flight; each call leaves a mark."""
    if number == 13:
        os._exit(7)
    return number


def die_once(path):
    """End the worker the first time."""
    if Path(path).exists():
        return "second time"
    Path(path).touch()
    os._exit(7)


def pid(number):
    return os.getpid()


def settle(number):
    import torch

    return torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]


def announce_and_stay(path):
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)
'''
DRIVER = """
import sys
import lab_jobs
from experiments.engines.local import LocalEngine

if __name__ == "__main__":
    with LocalEngine(workers=2) as engine:
        list(engine.map(lab_jobs.announce_and_stay, sys.argv[1:]))
"""
PATIENCE = 60.0


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Callable]]:
    """Return functions that workers can import."""
    (tmp_path / "lab_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(str(tmp_path))
    import lab_jobs

    yield vars(lab_jobs)
    del sys.modules["lab_jobs"]


@pytest.fixture
def quick_start(tmp_path: Path) -> None:
    """Spare workers the seconds that importing torch takes, where they end at once anyway."""
    (tmp_path / "torch.py").write_text("def set_num_threads(threads):\n    pass\n")


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens, at most PATIENCE seconds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def lives(pid: int) -> bool:
    """Whether a process runs; one that ended and waits for its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_results_errors_and_settings(jobs: dict[str, Callable]) -> None:
    with LocalEngine(workers=1, threads=1) as engine:
        done = {each.job: each for each in engine.map(jobs["double"], [1, 2, -3])}
        (settings,) = engine.map(jobs["settle"], [0])
        assert list(engine.map(jobs["double"], [])) == []
    assert {job: each.result for job, each in done.items()} == {1: 2, 2: 4, -3: None}
    assert done[-3].error == "ValueError: negative: -3"
    assert done[1].error == ""
    assert settings.result == (1, "1")


@pytest.mark.usefixtures("quick_start")
def test_jobs_are_drawn_only_a_few_ahead(jobs: dict[str, Callable]) -> None:
    drawn: list[int] = []

    def endless() -> Iterator[int]:
        for number in count():
            drawn.append(number)
            yield number

    with LocalEngine(workers=1) as engine:
        done = list(islice(engine.map(jobs["double"], endless()), 5))
        assert len(done) == 5
        # Those given back, those in flight; never the whole iterator.
        assert len(drawn) <= 5 + 2 * AHEAD


@pytest.mark.usefixtures("quick_start")
def test_a_worker_that_kills_itself_is_reported_and_its_neighbours_finish(
    jobs: dict[str, Callable],
) -> None:
    with LocalEngine(workers=1) as engine:
        done = {each.job: each for each in engine.map(jobs["die"], [1, 13, 2, 3, 4])}
    assert set(done) == {1, 13, 2, 3, 4}
    assert done[13].result is None
    assert done[13].error == "the worker process died twice (killed, or out of memory)"
    assert [done[job].result for job in (1, 2, 3, 4)] == [1, 2, 3, 4]


@pytest.mark.usefixtures("quick_start")
def test_a_worker_that_dies_while_the_driver_is_busy(jobs: dict[str, Callable]) -> None:
    with LocalEngine(workers=1) as engine:
        results = []
        for done in engine.map(jobs["die"], iter([1, 13, 2, 3])):
            results.append((done.job, done.result))
            if done.job == 1:
                # The pool breaks before the next job is handed to it.
                processes = list(engine._pool._processes.values())
                until(lambda p=processes: not any(each.is_alive() for each in p))
    assert sorted(results, key=str) == [(1, 1), (13, None), (2, 2), (3, 3)]


@pytest.mark.usefixtures("quick_start")
def test_a_job_that_was_hit_once_runs_again(jobs: dict[str, Callable], tmp_path: Path) -> None:
    with LocalEngine(workers=1) as engine:
        (done,) = engine.map(jobs["die_once"], [str(tmp_path / "mark")])
    assert (done.result, done.error) == ("second time", "")


@pytest.mark.usefixtures("quick_start")
def test_cancel_ends_the_workers_at_once(jobs: dict[str, Callable], tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    engine = LocalEngine(workers=1)
    future = engine._pool.submit(jobs["announce_and_stay"], str(mark))
    until(lambda: mark.exists() and bool(mark.read_text()))
    assert lives(int(mark.read_text()))
    engine.cancel()
    assert not lives(int(mark.read_text()))
    assert isinstance(future.exception(timeout=PATIENCE), BrokenProcessPool)


@pytest.mark.usefixtures("quick_start")
def test_an_error_of_the_driver_does_not_wait_for_the_work(
    jobs: dict[str, Callable], tmp_path: Path
) -> None:
    mark = tmp_path / "pid"

    def interrupted() -> None:
        with LocalEngine(workers=1) as engine:
            engine._pool.submit(jobs["announce_and_stay"], str(mark))
            until(lambda: mark.exists() and bool(mark.read_text()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not lives(int(mark.read_text()))


@pytest.mark.usefixtures("quick_start")
def test_workers_end_when_their_driver_is_killed(tmp_path: Path) -> None:
    (tmp_path / "lab_jobs.py").write_text(JOBS)
    (tmp_path / "driver.py").write_text(DRIVER)
    marks = [tmp_path / "first", tmp_path / "second"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    driver = subprocess.Popen(
        [sys.executable, "driver.py", *map(str, marks)], cwd=tmp_path, env=environment
    )
    pids: list[int] = []
    try:
        until(lambda: all(mark.exists() and mark.read_text() for mark in marks))
        pids = [int(mark.read_text()) for mark in marks]
        assert all(lives(pid) for pid in pids)
        driver.kill()
        driver.wait()
        until(lambda: not any(lives(pid) for pid in pids))
    finally:
        driver.kill()
        driver.wait()
        for pid in filter(lives, pids):
            os.kill(pid, signal.SIGKILL)
