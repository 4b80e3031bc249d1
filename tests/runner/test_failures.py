"""What a user reads of runs that failed, and how the call ends."""

from __future__ import annotations

from collections.abc import Callable

from ablation_lab.runner.planning import Stored
from ablation_lab.runner.train import Failed, Trained, failures
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run, TrainerName

MakeRun = Callable[..., Run]


def failed(run: Run, reason: str, *, fits: bool = True) -> Failed:
    record = Record(run, Status.FAILED, TrainerName.SINGLE, reason=reason, fits=fits)
    return Failed(record, f"runs/{run.cell}-{run.replicate}.txt")


def status(*found: Failed) -> int:
    return Trained(Stored({}), found).status


def test_runs_that_failed_alike_share_a_line(make_run: MakeRun) -> None:
    found = [failed(make_run(cell=cell, replicate=n), "E: no") for cell in "ab" for n in range(2)]
    found.append(failed(make_run(cell="c"), "E: never"))
    assert failures(found) == [
        "failed: small a replicate 0 and 3 more: E: no (traceback: runs/a-0.txt)",
        "failed: small c replicate 0: E: never (traceback: runs/c-0.txt)",
    ]
    assert (status(*found), status()) == (1, 0)


def test_runs_that_do_not_fit_are_named_by_study_and_cell(make_run: MakeRun) -> None:
    # Each says another number of bytes.
    large = [failed(make_run(cell="a", replicate=n), f"{n} GiB", fits=False) for n in range(2)]
    assert failures(large) == ["error: study/small.yaml: a: 0 GiB (traceback: runs/a-0.txt)"]
    larger = [failed(make_run(cell=cell), "9 GiB", fits=False) for cell in "bc"]
    other = failed(make_run(cell="d"), "E: no")
    lines = failures([*large, *larger, other])
    assert [line.split(": ")[0] for line in lines] == ["failed", "error"]
    assert lines[1].startswith("error: study/small.yaml: a and 2 more ")
    assert status(other, *large) == status(*large) == 2
