"""Who writes: the name of this process, and whether the process behind a name still lives."""

from __future__ import annotations

import os
import socket


def name() -> str:
    """Return ``host:pid`` of this process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def is_alive(process: str) -> bool | None:
    """Say whether ``host:pid`` lives; None for another host, where nobody here can tell."""
    host, _, pid = process.rpartition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return None
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
