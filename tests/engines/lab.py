"""What the tests of engines share: jobs that workers can import, engines by name, patience."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from ablation_lab.engines import read_engine
from ablation_lab.engines.contract import Engine, EngineSettings
from ablation_lab.study.files import PRODUCT

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0

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
    """End the worker at 13, with another job in flight."""
    if number == 13:
        os._exit(7)
    return number


def die_with_all(number):
    """End at 13 also the process that watches, and whatever started it."""
    if number == 13:
        os.killpg(0, 9)
    return number


def die_once(path):
    """End the worker the first time."""
    if Path(path).exists():
        return "second time"
    Path(path).touch()
    os._exit(7)


def be_asked_to_end(path):
    """Have the worker asked to end the first three times, as a scheduler does."""
    import signal

    marks = Path(path)
    marks.mkdir(exist_ok=True)
    if (times := len(list(marks.iterdir()))) == 3:
        return "fourth time"
    (marks / str(times)).touch()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)


def ask_oneself(number):
    """Have the worker asked to end every time."""
    import signal

    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)


def hold(megabytes):
    """Hold so much memory for long, or nothing and not at all."""
    held = bytearray(megabytes << 20)
    if held:
        time.sleep(600)
    return len(held)


def measure(payload):
    return len(payload)


def surroundings(number):
    """Return what a worker is given."""
    import torch

    return torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]


def meet(paths):
    """Wait for another job that runs at the same time; return the GPU that this one sees."""
    mine, other = map(Path, paths)
    mine.touch()
    end = time.monotonic() + 60
    while not other.exists():
        if time.monotonic() > end:
            raise TimeoutError("alone")
        time.sleep(0.02)
    return os.environ["CUDA_VISIBLE_DEVICES"]


def stay_once(path):
    """Stay for long the first time."""
    if Path(path).exists():
        return "second time"
    Path(path).touch()
    time.sleep(600)


def announce_and_stay(path):
    """Return at once if there is nothing to announce."""
    if path:
        temporary = Path(path).with_suffix(".new")
        temporary.write_text(str(os.getpid()))
        temporary.rename(path)
        time.sleep(600)
'''
# Spares workers the seconds that importing torch takes.
FAKE_TORCH = """
threads = None


def set_num_threads(number):
    global threads
    threads = number


def get_num_threads():
    return threads
"""

Start = Callable[..., Engine]
Jobs = dict[str, Callable[..., Any]]


def settings(name: str, **changes: object) -> EngineSettings:
    """Return the settings of ``conf/engine/NAME.yaml`` with some changed."""
    declared = yaml.safe_load((PRODUCT / "engine" / f"{name}.yaml").read_text())
    return read_engine({**declared, **changes})


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


def free_address() -> str:
    """Return an address of this machine where nothing is yet."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def start_ray_node(log: Path, address: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a node of the cluster at ``address``, its head or another; wait until it is there."""
    port = address.rpartition(":")[2]
    place = f"--port={port}" if "--head" in arguments else f"--address={address}"
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", place, *arguments]
    command += ["--node-ip-address=127.0.0.1", "--disable-usage-stats"]
    command += ["--include-dashboard=false"] if "--head" in arguments else []
    # Workers find nothing of the tests by themselves.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    with log.open("w") as output:
        node = subprocess.Popen(
            command,
            cwd=log.parent,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    until(lambda: "Ray runtime started" in log.read_text())
    return node


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a node and what it started."""
    process.terminate()
    process.wait(timeout=PATIENCE)
