"""The Ray cluster behind the Ray engine: reached quickly or refused in one line, and its room.

Ray waits minutes for a cluster that is not there, and its own ways to fail print pages; here the
address is tried first. Workers get the lab and the plugins by import path, which is enough on one
machine and on shared file systems, and on a cluster by upload as well.
"""

from __future__ import annotations

import importlib
import logging
import math
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from ablation_lab.engines import devices, worker
from ablation_lab.errors import ConfigurationError

# Seconds until an address counts as unreachable, and until a cluster counts as not there.
PATIENCE_FOR_ADDRESS = 5.0
PATIENCE_FOR_CLUSTER = 20.0
# Ray knows shares of a GPU to this many digits.
DIGITS = 10**4


def connect(ray: ModuleType, address: str | None, threads: int, plugins: tuple[str, ...]) -> None:
    """Connect to the cluster at ``address``; without one, start one on this machine.

    Errors: ``ConfigurationError`` in one line, within 30 seconds.
    """
    variables = worker.environment(threads)
    variables["PYTHONPATH"] = os.pathsep.join(worker.import_path())
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        settings |= {"address": "local", "num_cpus": devices.cores(), "include_dashboard": False}
        settings["runtime_env"] = {"env_vars": variables}
    else:
        validate_reachable(address)
        packages = ["ablation_lab", "lightning_modules", *plugins]
        modules = [_place(name) for name in packages]
        settings |= {"address": address}
        settings["runtime_env"] = {"env_vars": variables, "py_modules": modules}
    try:
        ray.init(**settings)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise _refusal(address or "this machine", " ".join(str(error).split())) from None


def room(
    ray: ModuleType, place: str, threads: int, gpus: int | None, per_gpu: int
) -> tuple[float, int]:
    """Return a worker's share of a GPU, and for how many workers the cluster has room.

    Errors: ``ConfigurationError`` where there are fewer GPUs than asked for, or no room for one.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    found = int(sum(node.get("GPU", 0) for node in nodes))
    devices.validate_count(gpus or 0, found, f"{place}.gpus", "the cluster has")
    used = found if gpus is None else gpus
    share = math.floor(DIGITS / per_gpu) / DIGITS if used else 0.0
    workers = sum(_room_on(node, threads, per_gpu if used else None) for node in nodes)
    if used:
        workers = min(workers, used * per_gpu)
    if not workers:
        raise ConfigurationError(
            f"{place}.threads: no node of the cluster has {threads} CPUs"
            + (" beside a GPU" if used else "")
        )
    return share, workers


def _room_on(node: Mapping[str, float], threads: int, per_gpu: int | None) -> int:
    by_cpu = int(node.get("CPU", 0)) // threads
    return by_cpu if per_gpu is None else min(by_cpu, int(node.get("GPU", 0)) * per_gpu)


def _place(package: str) -> str:
    """Return the folder of a package, or the file of a module."""
    path = Path(str(importlib.import_module(package.partition(".")[0]).__file__))
    return str(path.parent if path.name == "__init__.py" else path)


def validate_reachable(address: str) -> None:
    """Try the address as its user would, with an end to patience."""
    if address == "auto":
        return  # Ray looks for a cluster of this machine, and says at once if there is none
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise ConfigurationError(
            f"engine=ray: expected an address like host:6379, or auto, found {address!r}"
        )
    try:
        socket.create_connection((host, int(port)), timeout=PATIENCE_FOR_ADDRESS).close()
    except OSError as error:
        raise _refusal(address, f"{error.strerror or error}") from None
    command = [sys.executable, "-m", "ray.scripts.scripts", "status", "--address", address]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_FOR_CLUSTER, check=False
        )
    except subprocess.TimeoutExpired:
        raise _refusal(address, f"no answer in {PATIENCE_FOR_CLUSTER:.0f} s") from None
    if answer.returncode:
        lines = [line for line in answer.stderr.splitlines() if line.strip()]
        raise _refusal(address, lines[-1] if lines else f"status {answer.returncode}")


def _refusal(address: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"engine=ray: no Ray cluster can be used at {address}: {reason}; "
        "see engine.address and RAY_ADDRESS"
    )
