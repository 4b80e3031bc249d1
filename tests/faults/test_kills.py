"""Kills at any moment, 25 of each kind by ``make faults``: of runners, workers, beginnings."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time

import pytest

from tests.cli.lab import ended
from tests.faults.lab import EVERY, Many, Results, gone, kill, workers_of

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("ABLATION_KILLS", "1"))
# Seconds that a call of the study takes on a quiet machine: a kill falls anywhere in it.
WHOLE = 12.0


def killed_somewhere(many: Many, draw: random.Random) -> None:
    """Start a call; kill its runner at a moment that is drawn."""
    runner = many.start()
    try:
        runner.wait(timeout=draw.uniform(0.0, WHOLE))
    except subprocess.TimeoutExpired:
        kill(runner)
    else:
        runner.communicate()


def finished(many: Many, undisturbed: Results) -> None:
    """Call until nothing is missing: what killed workers twice failed, and is tried anew."""
    for _ in range(3):
        if many.call().status == 0:
            break
    stored = [run for run in many.stored() if run.is_finished]
    assert len(stored) == len(EVERY)
    assert many.open_trials() == []
    assert {name: each for name, each in many.results().items() if each} == undisturbed


@pytest.mark.parametrize("from_nothing", [False, True])
def test_runners_that_are_killed_anywhere_lose_and_double_nothing(
    many: Many, undisturbed: Results, from_nothing: bool
) -> None:
    draw = random.Random(17)
    for _ in range(KILLS):
        if from_nothing:  # while the store is made
            shutil.rmtree(many.lab.folder / "runs", ignore_errors=True)
        killed_somewhere(many, draw)
    last = many.call()
    assert (last.status, last.err) == (0, "")
    many.assert_whole(undisturbed)


def test_workers_that_are_killed_lose_and_double_nothing(many: Many, undisturbed: Results) -> None:
    draw = random.Random(5)
    runner = many.start_and_train(1)
    for _ in range(KILLS):
        time.sleep(draw.uniform(0.0, 2.0))
        if runner.poll() is not None:
            ended(runner)
            runner = many.start_and_train(0)
        for worker in workers_of(runner.pid):
            os.kill(worker, signal.SIGKILL)
    assert "Traceback" not in ended(runner).err
    gone(runner)
    finished(many, undisturbed)
