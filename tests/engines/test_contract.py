"""What every engine promises, once for each: real processes, a real Ray, submitit's own jobs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain, count, islice, repeat
from pathlib import Path

import pytest

from ablation_lab.engines import ENGINES
from ablation_lab.study.files import PRODUCT
from ablation_lab.training.cost import NO_LIMIT, Limit
from tests.engines.lab import ROOT, Jobs, Start, lives, until

pytestmark = pytest.mark.usefixtures("fake_torch")
# Jobs that an engine may have drawn for each worker before their turn.
AHEAD = 2
DRIVER = """
import sys
import lab_jobs
from tests.engines.lab import settings

if __name__ == "__main__":
    name, changes, *marks = sys.argv[1:]
    with settings(name, workers=2, **eval(changes)).start(()) as engine:
        list(engine.map(lab_jobs.announce_and_stay, marks))
"""


def test_every_engine_is_under_contract_and_has_its_settings_file() -> None:
    files = {path.stem for path in (PRODUCT / "engine").glob("*.yaml")}
    assert files == set(ENGINES) == {"local", "ray", "slurm"}


def test_results_and_failures_with_their_tracebacks(start: Start, jobs: Jobs) -> None:
    with start(workers=1) as engine:
        done = {each.job: each for each in engine.map(jobs["double"], [1, 2, -3])}
        assert list(engine.map(jobs["double"], [])) == []
        (again,) = engine.map(jobs["double"], [21])
    assert {job: each.result for job, each in done.items()} == {1: 2, 2: 4, -3: None}
    assert done[-3].error == "ValueError: negative: -3"
    assert 'raise ValueError(f"negative: {number}")' in done[-3].traceback
    assert done[1].error == done[1].traceback == ""
    assert again.result == 42


def test_jobs_are_drawn_only_a_few_ahead(start: Start, jobs: Jobs) -> None:
    drawn: list[int] = []

    def endless() -> Iterator[int]:
        for number in count():
            drawn.append(number)
            yield number

    with start(workers=1) as engine:
        done = list(islice(engine.map(jobs["double"], endless()), 5))
        assert len(done) == 5
        # Those given back, those in flight; never the whole iterator.
        assert len(drawn) <= 5 + 2 * AHEAD


def test_a_job_that_kills_its_worker_is_reported_and_its_neighbours_finish(
    start: Start, jobs: Jobs
) -> None:
    with start(workers=1) as engine:
        done = {each.job: each for each in engine.map(jobs["die"], [1, 13, 2, 3, 4])}
    assert set(done) == {1, 13, 2, 3, 4}
    assert done[13].result is None
    assert "died twice" in done[13].error
    assert "\n" not in done[13].error
    assert [done[job].result for job in (1, 2, 3, 4)] == [1, 2, 3, 4]


def test_a_job_whose_worker_died_once_runs_again(start: Start, jobs: Jobs, tmp_path: Path) -> None:
    with start(workers=1) as engine:
        (done,) = engine.map(jobs["die_once"], [str(tmp_path / "mark")])
    assert (done.result, done.error) == ("second time", "")


def test_a_worker_that_is_asked_to_end_is_no_fault_of_its_job(
    start: Start, jobs: Jobs, tmp_path: Path
) -> None:
    with start(workers=1) as engine:
        (done,) = engine.map(jobs["be_asked_to_end"], [str(tmp_path / "marks")])
    assert (done.result, done.error) == ("fourth time", "")


@pytest.mark.parametrize(
    ("limit", "why"),
    [
        (Limit(seconds=1.0), "0.01667 min (limits.minutes)"),
        (Limit(bytes=2e8), "GB of 0.2 GB (limits.memory)"),
    ],
)
def test_a_worker_that_is_beyond_a_limit_is_ended_and_its_job_tried_once_more(
    start: Start, jobs: Jobs, limit: Limit, why: str
) -> None:
    with start(workers=2) as engine:
        come = engine.map_together(
            jobs["hold"], [0, 300, 0], limit=lambda each: limit if each == 300 else NO_LIMIT
        )
        done = {each.job: each for together in come for each in together}
    assert done[300].error.startswith("ended twice: it ")
    assert why in done[300].error
    assert (done[0].result, done[0].error) == (0, "")


def test_workers_work_at_once_and_see_no_gpu_unless_given_one(
    start: Start, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    with start(workers=2, gpus=0) as engine:
        done = list(engine.map(jobs["meet"], [(first, second), (second, first)]))
    assert [(each.result, each.error) for each in done] == [("", ""), ("", "")]


def test_an_error_of_the_driver_ends_the_workers_without_waiting(
    start: Start, jobs: Jobs, tmp_path: Path
) -> None:
    mark = tmp_path / "pid"

    def interrupted() -> None:
        with start(workers=2) as engine:
            # One worker stays with the first job, the other has nothing to announce, ever again.
            for _ in engine.map(jobs["announce_and_stay"], chain([str(mark)], repeat(""))):
                if mark.exists():
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    pid = int(mark.read_text())
    until(lambda: not lives(pid))


@pytest.mark.usefixtures("jobs")
def test_ctrl_c_ends_the_driver_and_its_workers(
    engine_name: str, engine_changes: dict[str, object], tmp_path: Path
) -> None:
    (tmp_path / "driver.py").write_text(DRIVER)
    marks = [tmp_path / "first", tmp_path / "second"]
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    driver = subprocess.Popen(
        [sys.executable, "driver.py", engine_name, repr(engine_changes), *map(str, marks)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        until(lambda: all(mark.exists() for mark in marks))
        pids = [int(mark.read_text()) for mark in marks]
        os.killpg(driver.pid, signal.SIGINT)
        _, errors = driver.communicate(timeout=60)
        assert driver.returncode == -signal.SIGINT, errors.decode()
        until(lambda: not any(lives(pid) for pid in pids))
    finally:
        if driver.poll() is None:
            os.killpg(driver.pid, signal.SIGKILL)
            driver.communicate()
