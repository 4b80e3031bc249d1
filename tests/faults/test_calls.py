"""Calls that are asked to end, are killed, run at once, or have runs that raise: real processes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time

import pytest

from tests.cli.lab import ONE_WORKER, STUDY, Lab, ended, study_with, wait_until
from tests.faults.lab import SOON, Many, Results, gone, kill, starting, stop_workers_of

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


def test_no_run_is_lost_or_done_twice_by_a_kill(many: Many, undisturbed: Results) -> None:
    kill(many.start_and_train(3))
    kept = {run.run_id for run in many.stored()}
    last = many.call()
    assert (last.status, last.err) == (0, "")
    many.assert_whole(undisturbed)
    assert kept < {run.run_id for run in many.stored()}


@pytest.mark.slow
def test_no_run_is_lost_or_done_twice_by_ctrl_c_a_kill_and_two_runners_at_once(
    many: Many, undisturbed: Results
) -> None:
    runner = many.start_and_train(3)
    os.killpg(runner.pid, signal.SIGINT)  # as a terminal does: to the runner and its workers
    stopped = ended(runner)
    assert stopped.status == 130
    assert stopped.err == "stopped; everything finished so far is kept\n"
    gone(runner)
    kept = {run.run_id for run in many.stored() if run.is_finished}
    assert len(kept) >= 3

    kill(many.start_and_train(3))
    runners = [many.start() for _ in range(2)]
    outcomes = [ended(runner) for runner in runners]
    assert [(outcome.status, outcome.err) for outcome in outcomes] == [(0, "")] * 2
    many.assert_whole(undisturbed)
    assert kept < {run.run_id for run in many.stored()}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_call_that_is_asked_to_end_is_gone_soon_though_its_worker_hears_nothing(
    many: Many, number: signal.Signals
) -> None:
    runner = many.start_and_train(1)
    stop_workers_of(runner)
    runner.send_signal(number)
    asked = time.monotonic()
    outcome = ended(runner)
    assert time.monotonic() - asked < SOON
    assert outcome.status == 128 + number
    assert outcome.err == "stopped; everything finished so far is kept\n"
    gone(runner)
    assert {run.status for run in many.stored()} == {"FINISHED"}


def test_ctrl_c_while_workers_start_is_one_line(many: Many) -> None:
    runner = many.start()
    wait_until(lambda: bool(starting(runner.pid)), what="the start of workers")
    os.killpg(runner.pid, signal.SIGINT)  # as a terminal does: to all of them
    outcome = ended(runner)
    assert outcome.status == 130
    assert outcome.err.count("\n") == 1, outcome.err
    assert outcome.err.startswith("stopped")


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
    runner = lab.start("study=width", "plugins=[slow_import]", "reports=null")
    wait_until((lab.folder / "importing").exists, what="the import")
    runner.send_signal(signal.SIGTERM)
    outcome = ended(runner)
    assert (outcome.status, outcome.out) == (143, "")
    assert outcome.err == "stopped; everything finished so far is kept\n"
    assert (lab.folder / "imported").exists()


@pytest.mark.slow
def test_a_second_signal_ends_a_call_at_once(many: Many, undisturbed: Results) -> None:
    runner = many.start_and_train(1)
    stop_workers_of(runner)
    runner.send_signal(signal.SIGINT)
    runner.send_signal(signal.SIGTERM)  # while it gives its workers their time
    outcome = ended(runner)
    assert outcome.status == 143
    assert outcome.err == "stopped at once; everything finished so far is kept\n"
    gone(runner)
    last = many.call()
    assert (last.status, last.err) == (0, "")
    many.assert_whole(undisturbed)


@pytest.mark.slow
def test_runners_that_begin_at_once_on_no_store_share_the_work(
    many: Many, undisturbed: Results
) -> None:
    shutil.rmtree(many.lab.folder / "runs")
    runners = [many.start() for _ in range(4)]
    outcomes = [ended(runner) for runner in runners]
    assert [(outcome.status, outcome.err) for outcome in outcomes] == [(0, "")] * 4
    many.assert_whole(undisturbed)


def test_results_that_come_together_are_kept_in_all_studies_that_declare_them(lab: Lab) -> None:
    names = ("one", "another", "third")
    for name in names:
        lab.declare(name, STUDY)
    call = lab.call(f"study=[{','.join(names)}]", "reports=null", ONE_WORKER)
    assert (call.status, call.err) == (0, "")
    for name in names:
        assert [run.status for run in lab.runs(name)] == ["FINISHED"] * 4


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
