"""What goes wrong while it runs: Ctrl-C, a killed driver, two drivers at once, runs that raise."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.cli.lab import (
    ONE_WORKER,
    STUDY,
    Lab,
    ended,
    group_members,
    study_with,
    wait_until,
)

# Examples in their stored order have each run train alone: the store fills one by one.
MANY: dict[str, Any] = {
    "title": "Many short runs",
    "question": "Is any run lost, or done twice?",
    "source": "a test",
    "metric": "test_accuracy",
    "run": {
        "model": {"family": "mlp", "widths": [2]},
        "data": {"name": "digits"},
        "optimizer": {"name": "adam", "learning_rate": 0.1},
        "training": {"epochs": 9, "batch_size": 100, "shuffle": False},
    },
    "factors": {"init": {"key": "model.init", "levels": ["normal", "uniform", "he_normal"]}},
    "profiles": {"smoke": {"replicates": 12}},
}
CELLS = ["init=normal", "init=uniform", "init=he_normal"]

# A plugin that brings a data set whose reader fails in the worker, in one level of a factor.
FRAGILE = """
from ablation_lab.data import DATASETS, Dataset

def read(files):
    raise RuntimeError("row 17 is upside down")

DATASETS.register("fragile")(
    Dataset(
        "fragile", shape=(2,), classes=1, examples=4, files=(), about="broken", read=read,
        test_is_train=True,
    )
)
"""
BREAKING = study_with("profiles.smoke.replicates", 2) | {
    "factors": {"rows": {"key": "data.name", "levels": ["xor", "fragile"]}},
    "baseline": {"rows": "xor"},
}


# Seconds in which a call has ended that is asked to, on a loaded machine.
SOON = 20.0


def workers_of(driver: int) -> list[int]:
    """Return the workers of a driver, which name themselves as the children of spawn do."""
    found = []
    for pid in group_members(driver):
        command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
        if "spawn_main" in command:
            found.append(pid)
    assert found
    return found


def start_and_wait_for_runs(lab: Lab, more: int) -> subprocess.Popen[str]:
    """Start the study of many runs; return while it trains, with ``more`` new finished runs."""
    wanted = finished_runs(lab) + more
    driver = lab.start("study=many", "reports=null", ONE_WORKER)
    wait_until(
        lambda: finished_runs(lab) >= wanted or driver.poll() is not None,
        what=f"{wanted} runs in the store",
    )
    assert driver.poll() is None, driver.communicate()
    return driver


def finished_runs(lab: Lab) -> int:
    return sum(run.status == "FINISHED" for run in lab.runs("many"))


def test_no_run_is_lost_or_done_twice_by_a_kill(lab: Lab) -> None:
    lab.declare("many", MANY)
    killed_after_three_runs(lab)
    kept = {run.run_id for run in lab.runs("many")}
    last = lab.call("study=many", "reports=null", ONE_WORKER)
    assert (last.status, last.err) == (0, "")
    assert_every_run_once(lab)
    assert kept < {run.run_id for run in lab.runs("many")}


@pytest.mark.slow
def test_no_run_is_lost_or_done_twice_by_ctrl_c_a_kill_and_two_drivers_at_once(lab: Lab) -> None:
    lab.declare("many", MANY)

    driver = start_and_wait_for_runs(lab, 3)
    os.killpg(driver.pid, signal.SIGINT)  # as a terminal does: to the driver and its workers
    stopped = ended(driver)
    assert stopped.status == 130
    assert stopped.err == "stopped; everything finished so far is kept\n"
    # Python's own tracker of semaphores ends when it sees that the driver has.
    wait_until(lambda: not group_members(driver.pid), what="the end of the workers", seconds=30)
    kept = {run.run_id for run in lab.runs("many") if run.status == "FINISHED"}
    assert len(kept) >= 3

    killed_after_three_runs(lab)
    drivers = [lab.start("study=many", "reports=null", ONE_WORKER) for _ in range(2)]
    outcomes = [ended(driver) for driver in drivers]
    assert [(outcome.status, outcome.err) for outcome in outcomes] == [(0, "")] * 2
    assert_every_run_once(lab)
    assert kept < {run.run_id for run in lab.runs("many")}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_call_that_is_asked_to_end_is_gone_soon_though_its_worker_hears_nothing(
    lab: Lab, number: signal.Signals
) -> None:
    lab.declare("many", MANY)
    driver = start_and_wait_for_runs(lab, 1)
    for pid in workers_of(driver.pid):
        os.kill(pid, signal.SIGSTOP)
    driver.send_signal(number)
    asked = time.monotonic()
    outcome = ended(driver)
    assert time.monotonic() - asked < SOON
    assert outcome.status == 128 + number
    assert outcome.err == "stopped; everything finished so far is kept\n"
    wait_until(lambda: not group_members(driver.pid), what="the end of the workers", seconds=30)
    assert {run.status for run in lab.runs("many")} == {"FINISHED"}


# A plugin whose import is C++ that calls back into Python: an exception in it would abort.
SLOW_IMPORT = """
import os, signal, time
from pathlib import Path
import torch

class Once:
    def __index__(self):
        Path("importing").touch()
        time.sleep(1.5)
        Path("imported").touch()
        return 1

torch.zeros(Once())
"""


def test_a_signal_in_the_import_of_a_plugin_waits_for_its_end(lab: Lab) -> None:
    (lab.folder / "slow_import.py").write_text(SLOW_IMPORT, encoding="utf-8")
    driver = lab.start("study=width", "plugins=[slow_import]", "reports=null")
    wait_until((lab.folder / "importing").exists, what="the import")
    driver.send_signal(signal.SIGTERM)
    outcome = ended(driver)
    assert (outcome.status, outcome.out) == (143, "")
    assert outcome.err == "stopped; everything finished so far is kept\n"
    assert (lab.folder / "imported").exists()


@pytest.mark.slow
def test_a_second_signal_ends_a_call_at_once(lab: Lab) -> None:
    lab.declare("many", MANY)
    driver = start_and_wait_for_runs(lab, 1)
    for pid in workers_of(driver.pid):
        os.kill(pid, signal.SIGSTOP)
    driver.send_signal(signal.SIGINT)
    driver.send_signal(signal.SIGTERM)  # while it gives its workers their time
    outcome = ended(driver)
    assert outcome.status == 143
    assert outcome.err == "stopped at once; everything finished so far is kept\n"
    wait_until(lambda: not group_members(driver.pid), what="the end of the workers", seconds=30)
    last = lab.call("study=many", "reports=null", ONE_WORKER)
    assert (last.status, last.err) == (0, "")
    assert_every_run_once(lab)


@pytest.mark.slow
def test_runners_that_begin_at_once_on_no_store_share_the_work(lab: Lab) -> None:
    shutil.rmtree(lab.folder / "runs")
    lab.declare("many", MANY)
    runners = [lab.start("study=many", "reports=null", ONE_WORKER) for _ in range(4)]
    outcomes = [ended(runner) for runner in runners]
    assert [(outcome.status, outcome.err) for outcome in outcomes] == [(0, "")] * 4
    assert_every_run_once(lab)


def test_results_that_come_together_are_kept_in_all_studies_that_declare_them(lab: Lab) -> None:
    names = ("one", "another", "third")
    for name in names:
        lab.declare(name, STUDY)
    call = lab.call(f"study=[{','.join(names)}]", "reports=null", ONE_WORKER)
    assert (call.status, call.err) == (0, "")
    for name in names:
        assert [run.status for run in lab.runs(name)] == ["FINISHED"] * 4


def killed_after_three_runs(lab: Lab) -> None:
    """Start the study and kill its driver while it trains; return when its workers are gone."""
    driver = start_and_wait_for_runs(lab, 3)
    driver.kill()
    driver.communicate()
    wait_until(lambda: not group_members(driver.pid), what="the end of the workers", seconds=30)


def assert_every_run_once(lab: Lab) -> None:
    runs = lab.runs("many")
    assert sorted(run.name for run in runs) == sorted(product(CELLS, range(12)))
    assert {run.status for run in runs} == {"FINISHED"}


def test_run_that_raises_is_named_and_stays_to_do_and_the_others_finish(lab: Lab) -> None:
    (lab.folder / "fragile.py").write_text(FRAGILE, encoding="utf-8")
    lab.declare("breaking", BREAKING)
    arguments = ("study=breaking", "plugins=[fragile]", "reports=null", ONE_WORKER)

    first = lab.call(*arguments)
    assert first.status == 1
    (line,) = first.err.splitlines()
    found = re.fullmatch(
        r"failed: breaking rows=fragile replicate (\d) and 1 more: "
        r"family 'mlp', reading data 'fragile' \(fragile.py:5 in read\): "
        r"RuntimeError: row 17 is upside down "
        r"\(traceback: (runs/artifacts/\S+/(\w+)/artifacts/\S+)\)",
        line,
    )
    assert found is not None, line
    runs = lab.runs("breaking")
    assert [run.status for run in runs] == ["FAILED"] * 2 + ["FINISHED"] * 2
    named = next(run for run in runs if run.run_id == found[3])
    assert named.name == ("rows=fragile", int(found[1]))
    said = (lab.folder / found[2]).read_text(encoding="utf-8")
    assert said.endswith("RuntimeError: row 17 is upside down\nwhile reading data 'fragile'\n")

    again = lab.plan(*arguments)
    assert (again.status, again.err) == (0, "")
    assert "2 cells, 4 runs: 2 done, 2 to do" in again.out


@pytest.mark.slow
def test_what_does_not_fit_ends_the_call_as_bad_input_and_the_others_keep_their_results(
    lab: Lab,
) -> None:
    larger = FRAGILE.replace('raise RuntimeError("row 17 is upside down")', "np.empty(10**15)")
    (lab.folder / "fragile.py").write_text(f"import numpy as np{larger}", encoding="utf-8")
    lab.declare("breaking", BREAKING)
    call = lab.call("study=breaking", "plugins=[fragile]", ONE_WORKER)
    assert call.status == 2
    (line,) = call.err.splitlines()
    assert line.startswith(
        "error: study/breaking.yaml: rows=fragile: one run does not fit the memory of its device: "
        "Unable to allocate 7.11 PiB for an array "
    )
    assert "give it a smaller training.batch_size" in line
    assert [run.status for run in lab.runs("breaking")] == ["FAILED"] * 2 + ["FINISHED"] * 2
    assert "report: " in call.out
