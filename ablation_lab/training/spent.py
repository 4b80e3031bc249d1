"""What a stack costs while it trains: CPU-seconds always, energy where something measures it.

CPU-seconds are those of all threads of the worker and of the processes that it waited for. Energy
is read before and after: of a card by NVML (``nvidia-ml-py``), of processors by RAPL where its
files can be read. Both meter the whole device, so a worker is given its part: one of as many as
compute on the card, and its share of the machine's CPU time. Without a meter none is said.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

RAPL = Path("/sys/class/powercap")
BUSY = Path("/proc/stat")
TICK = 1e-9  # seconds, so that nothing is divided by 0
IDLE = slice(3, 5)  # of the first line of /proc/stat, behind its name: idle, waiting for a disk


def cpu_seconds() -> float:
    """Return the CPU-seconds of this process and of those that it waited for."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _busy_seconds() -> float:
    """Return the CPU-seconds of all processes of the machine, where a meter needs them."""
    if not _counters():
        return 0.0
    with suppress(OSError, ValueError):
        ticks = [int(word) for word in BUSY.read_text().split("\n", 1)[0].split()[1:9]]
        return (sum(ticks) - sum(ticks[IDLE])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _meters() -> dict[str, float]:
    return {**_processors(), **_cards()}


@dataclass(frozen=True)
class Reading:
    """What clocks and meters say now: CPU-seconds, those of the machine, joules by meter."""

    cpu: float = field(default_factory=cpu_seconds)
    busy: float = field(default_factory=_busy_seconds)
    joules: Mapping[str, float] = field(default_factory=_meters)

    def spent(self, runs: int) -> dict[str, str]:
        """Return what each of so many runs spent since: CPU-seconds, joules and their meters."""
        now = Reading()
        cpu = now.cpu - self.cpu
        shares = dict.fromkeys(_processors(), min(1.0, cpu / max(now.busy - self.busy, cpu, TICK)))
        shares |= _shares_of_cards()
        used = {name: now.joules.get(name, -1.0) - before for name, before in self.joules.items()}
        # A counter that has begun anew says nothing.
        ours = {name: used[name] * shares[name] for name in used if used[name] >= 0 < shares[name]}
        energy = {"joules": f"{sum(ours.values()) / runs:.6g}", "metered_by": " and ".join(ours)}
        return {"cpu_seconds": f"{cpu / runs:.6g}", **(energy if ours else {})}


def _processors() -> dict[str, float]:
    """Return the joules of each processor whose counter can be read."""
    found = {}
    for path in _counters():
        with suppress(OSError, ValueError):
            found[f"RAPL {path.parent.name.partition(':')[2]}"] = int(path.read_text()) / 1e6
    return found


@cache
def _counters() -> tuple[Path, ...]:
    """Return the counters of whole processors, not of their parts; none where root alone reads."""
    files = sorted(RAPL.glob("intel-rapl:[0-9]*/energy_uj"))
    whole = (path for path in files if path.parent.name.count(":") == 1)
    return tuple(path for path in whole if os.access(path, os.R_OK))


def _cards() -> dict[str, float]:
    """Return the joules of every card that has a meter."""
    return {
        name: _nvml().nvmlDeviceGetTotalEnergyConsumption(card) / 1e3
        for name, card in _handles().items()
    }


def _shares_of_cards() -> dict[str, float]:
    """Return this process's part of each card: one of as many as compute on it, or nothing."""
    shares = {}
    for name, card in _handles().items():
        users = set[int]()
        with suppress(_nvml().NVMLError):
            users = {each.pid for each in _nvml().nvmlDeviceGetComputeRunningProcesses(card)}
        shares[name] = 1 / len(users) if os.getpid() in users else 0.0
    return shares


@cache
def _handles() -> dict[str, Any]:
    """Return the cards that have a meter, by name."""
    nvml, found = _nvml(), {}
    for index in range(nvml.nvmlDeviceGetCount() if nvml else 0):
        with suppress(nvml.NVMLError):
            card = nvml.nvmlDeviceGetHandleByIndex(index)
            nvml.nvmlDeviceGetTotalEnergyConsumption(card)
            found[f"NVML {index}"] = card
    return found


@cache
def _nvml() -> Any:
    """Return the library that reads NVIDIA's meters, begun; None without it, or without a card."""
    try:
        nvml = import_module("pynvml")
        nvml.nvmlInit()
    except Exception:
        return None
    return nvml
