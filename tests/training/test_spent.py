"""What runs cost: CPU time by the clock, energy only where something meters it, split over runs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.training import spent
from ablation_lab.training.execute import execute


@pytest.fixture(autouse=True)
def nothing_is_known_yet() -> Iterator[None]:
    yield
    for known in (spent._counters, spent._handles, spent._nvml):
        known.cache_clear()


def test_the_runs_of_a_stack_share_its_cpu_time(make_run: Callable[..., Run]) -> None:
    runs = tuple(make_run(replicate=r) for r in range(4))
    before = spent.cpu_seconds()
    records = execute(Stack(runs=runs, trainer=TrainerName.STACKED, reason="", data_root=None))
    used = spent.cpu_seconds() - before
    found = [float(record.provenance["cpu_seconds"]) for record in records]
    assert len(set(found)) == 1
    assert 0 < sum(found) <= used


def test_waiting_is_no_work_and_computing_is() -> None:
    before = spent.Reading()
    time.sleep(0.2)
    assert float(before.spent(1)["cpu_seconds"]) < 0.1
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    assert float(before.spent(1)["cpu_seconds"]) >= 0.1


def test_energy_of_a_processor_is_read_where_its_counter_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter, part = (tmp_path / name / "energy_uj" for name in ("intel-rapl:0", "intel-rapl:0:1"))
    for path in (counter, part):
        path.parent.mkdir()
        path.write_text("1000000\n")
    monkeypatch.setattr(spent, "RAPL", tmp_path)
    monkeypatch.setattr(spent, "BUSY", tmp_path / "stat")  # so that nobody else computes
    spent._counters.cache_clear()
    before = spent.Reading()
    sum(range(200_000))
    counter.write_text("5000000\n")
    assert before.spent(2) | {"cpu_seconds": ""} == {
        "cpu_seconds": "", "joules": "2", "metered_by": "RAPL 0",
    }  # fmt: skip
    counter.write_text("7\n")  # it has begun anew
    assert "joules" not in before.spent(2)


def cards(joules: list[float], users: list[int]) -> SimpleNamespace:
    """Two cards as NVML tells of them: one on which nobody computes, and one with users."""
    return SimpleNamespace(
        NVMLError=KeyError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetTotalEnergyConsumption=lambda card: 1000 * joules[card],
        nvmlDeviceGetComputeRunningProcesses=lambda card: [
            SimpleNamespace(pid=pid) for pid in users if card
        ],
    )


def test_energy_of_a_card_is_shared_by_all_who_compute_on_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    joules, users = [0.0, 5.0], [os.getpid(), 1]
    monkeypatch.setitem(sys.modules, "pynvml", cards(joules, users))
    for known in (spent._handles, spent._nvml):
        known.cache_clear()
    before = spent.Reading()
    joules[:] = [9.0, 17.0]
    found = before.spent(3)
    assert (found["joules"], found["metered_by"]) == ("2", "NVML 1")
    users.pop(0)
    assert "joules" not in before.spent(3)
