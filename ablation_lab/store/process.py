"""Who writes: this process for a reader, and as an identity of which one can say that it is gone.

A number of a process says nothing by itself: it is given out again, machines of one image have one
host name, and containers on one machine count their processes each from 1. An identity is machine,
boot, process namespace, number and the time of its start. Whoever cannot look there knows nothing.
"""

from __future__ import annotations

import os
import socket
import subprocess
from functools import cache
from pathlib import Path

PROCESSES = Path("/proc")
BOOT = PROCESSES / "sys/kernel/random/boot_id"
NAMESPACE = PROCESSES / "self/ns/pid"
# Behind the name of a program in /proc/PID/stat, which may hold spaces: its state, its start.
STATE, START = 0, 19
GONE = "gone"


def name(pid: int | None = None) -> str:
    """Return ``host:pid`` of a process of this machine, this one's if none is given."""
    return f"{socket.gethostname()}:{pid or os.getpid()}"


def identity(pid: int | None = None) -> str:
    """Return ``machine|pid|start`` of a process of this machine, which no other one ever has."""
    pid = pid or os.getpid()
    return f"{_machine()}|{pid}|{_start(pid)}"


def is_gone(identity: str) -> bool:
    """Whether the process of an identity is known to have ended; False where nobody can tell."""
    machine, pid, start = ([*identity.rsplit("|", 2), "", ""])[:3]
    if machine != _machine() or not pid.isdigit():
        return False
    found = _start(int(pid))
    return found == GONE or found not in ("", start)


@cache
def _machine() -> str:
    """Return what tells this machine, since it started, and its processes from all others."""
    try:
        return f"{BOOT.read_text().strip()} {NAMESPACE.readlink()}"
    except OSError:  # no Linux
        return socket.gethostname()


def _start(pid: int) -> str:
    """Return when a process of this machine started, `GONE`, or '' where nobody can tell."""
    if PROCESSES.is_dir():
        return _start_of_linux(pid)
    if os.name != "posix":
        return ""
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    return asked.stdout.strip() or GONE


def _start_of_linux(pid: int) -> str:
    try:
        said = (PROCESSES / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return GONE
    except OSError:
        return ""
    words = said.rpartition(")")[2].split()
    # One that has ended and that its parent has not asked about still has a number.
    return GONE if words[STATE] in "ZX" else words[START]
