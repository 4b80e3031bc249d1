"""A process that is watched: its output bounded, its limits held, all that it starts ended with it.

Comes in: arguments, an environment and limits. Goes out: why it failed, or nothing, and the end of
its output. It has a process group of its own. What is left of the group when it ends is killed, and
on Linux whatever else it left behind, wherever that hides. Should the worker itself be killed, a
shell that waits for nothing else kills the group.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ablation_lab.study.command import Limits

LINES = 100  # of its output that are kept
WIDEST = 4_000  # letters of a line
CHUNK = 1 << 16
# Seconds from asking to end to ending by force, between looks at its memory, for what is left.
GRACE, LOOK, LEAVING = 5.0, 0.2, 5.0
# Reads process groups of the worker, an empty line for none; when that is gone, kills the last and
# removes the worker's folder.
GUARD = """while read group; do last=$group; done
[ -z "$last" ] || kill -KILL -- "-$last"
rm -rf -- "$0"
"""
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Ended:
    """How a process ended: ``why`` it failed, or '', and the last lines of its output."""

    why: str
    output: str = ""

    @property
    def said(self) -> str:
        """Why it failed, and the last thing that it said."""
        said = [line.strip() for line in self.output.splitlines() if line.strip()]
        return ": ".join(filter(None, (self.why, *said[-1:])))[:300]


class Output:
    """The last lines of what a process prints; ``heed`` is called with every line."""

    def __init__(self, heed: Callable[[str], None]) -> None:
        self.lines: deque[str] = deque(maxlen=LINES)
        self._heed = heed
        self._open = b""

    def take(self, chunk: bytes) -> None:
        """Take what it printed; a line that does not end is cut."""
        # Not by a regular expression, which reads 60 MB a second of a flood, and this gigabytes.
        *whole, self._open = (self._open + chunk).replace(b"\r", b"\n").split(b"\n")
        if len(self._open) > WIDEST:
            whole, self._open = [*whole, self._open], b""
        for line in whole:
            self._line(line)

    def text(self) -> str:
        """Return the last lines, also the one that did not end."""
        self._line(self._open)
        self._open = b""
        return "\n".join(self.lines)

    def _line(self, line: bytes) -> None:
        if line:
            text = line[:WIDEST].decode(errors="replace")
            self.lines.append(text)
            self._heed(text)


def carry_out(
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    limits: Limits,
    heed: Callable[[str], None],
) -> Ended:
    """Run a process to its end, or to that of its limits."""
    guard = _guard()
    _collect_orphans()
    before = offspring(os.getpid())
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(
            arguments,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        os.close(reading)
        return Ended(_not_started(error, arguments[0], folder))
    finally:
        os.close(writing)
    guard.watch(process.pid)
    output = Output(heed)
    try:
        beyond = _Watched(process, limits, before).wait(reading, output)
        _end_rest(process.pid, before)
        _drain(reading, output)
    finally:
        guard.watch(None)
        os.close(reading)
    return Ended(beyond or _failure(process.returncode), output.text())


class _Watched:
    """A process on its way."""

    def __init__(
        self, process: subprocess.Popen[bytes], limits: Limits, before: frozenset[int]
    ) -> None:
        self._process = process
        self._limits = limits
        self._before = before
        self._started = time.monotonic()
        self._beyond = ""
        self._force = 0.0

    def wait(self, reading: int, output: Output) -> str:
        """Read what it prints until it ends; return which limit it was beyond, or ''."""
        ended, ending = os.pipe()
        threading.Thread(target=self._tell, args=(ending,), daemon=True).start()
        with selectors.DefaultSelector() as selector:
            selector.register(reading, selectors.EVENT_READ)
            selector.register(ended, selectors.EVENT_READ)
            while ended not in (ready := {key.fd for key, _ in selector.select(self._patience)}):
                if reading in ready:
                    chunk = os.read(reading, CHUNK)
                    if chunk:
                        output.take(chunk)
                    else:
                        selector.unregister(reading)
                self._hold()
        os.close(ended)
        return self._beyond

    def _tell(self, ending: int) -> None:
        self._process.wait()
        os.close(ending)

    @property
    def _patience(self) -> float | None:
        """How long nothing has to be looked at; None: until it ends."""
        if self._force or self._limits.memory is not None:
            return LOOK
        if self._limits.minutes is None:
            return None
        return max(0.0, self._started + 60 * self._limits.minutes - time.monotonic())

    def _hold(self) -> None:
        """Ask it to end where it is beyond a limit, and make it end where it does not."""
        now = time.monotonic()
        if not self._beyond and (beyond := self._found_beyond(now)):
            self._beyond, self._force = beyond, now + GRACE
            _signal_group(self._process.pid, signal.SIGTERM)
        elif self._force and now > self._force:
            _signal_group(self._process.pid, signal.SIGKILL)

    def _found_beyond(self, now: float) -> str:
        minutes, memory = self._limits.minutes, self._limits.memory
        if minutes is not None and now - self._started >= 60 * minutes:
            return f"ended after {minutes:g} min (limits.minutes)"
        if memory is not None and (held := self._held()) > 1e9 * memory:
            return f"ended, as it held {held / 1e9:.2f} GB of {memory:g} GB (limits.memory)"
        return ""

    def _held(self) -> int:
        """Return the bytes that it and what it started hold in memory."""
        return sum(map(resident, offspring(os.getpid()) - self._before))


class _Guard:
    """A shell that outlives the worker, if only to end what that has begun."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ablation-worker-"))
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )

    def watch(self, group: int | None) -> None:
        """Name the process group that ends with this process; None: there is none."""
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{group or ''}\n".encode())

    def close(self) -> None:
        """Let the shell go; nothing is watched."""
        self._shell.communicate()


@cache
def _guard() -> _Guard:
    guard = _Guard()
    atexit.register(guard.close)
    return guard


def own_folder() -> Path:
    """Return a folder of this process, which goes with it, however it ends."""
    return _guard().folder


@cache
def _collect_orphans() -> None:
    """Become the parent of what loses its own below this process, so that it can be found."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def offspring(process: int) -> frozenset[int]:
    """Return all processes below one, where the system says so."""
    found: set[int] = set()
    waiting = [process]
    while waiting:
        tasks = Path(f"/proc/{waiting.pop()}/task")
        with contextlib.suppress(OSError):  # it ended in the meantime
            for task in os.listdir(tasks):  # noqa: PTH208 - three times as quick
                below = (tasks / task / "children").read_text().split()
                waiting += {int(each) for each in below} - found
                found |= {int(each) for each in below}
    return frozenset(found)


def resident(process: int) -> int:
    """Return the bytes that a process holds in memory, 0 where nobody says."""
    try:
        pages = Path(f"/proc/{process}/statm").read_text().split()[1]
    except OSError:  # it ended in the meantime
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _signal_group(group: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, what)


def _end_rest(group: int, before: frozenset[int]) -> None:
    """Kill what a process that ended has left."""
    _signal_group(group, signal.SIGKILL)
    end = time.monotonic() + LEAVING
    while (left := offspring(os.getpid()) - before) and time.monotonic() < end:
        for each in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(each, signal.SIGKILL)
        for each in left:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(each, os.WNOHANG)


def _drain(reading: int, output: Output) -> None:
    """Take what was printed before the end."""
    os.set_blocking(reading, False)
    with contextlib.suppress(BlockingIOError):
        while chunk := os.read(reading, CHUNK):
            output.take(chunk)


def _failure(status: int) -> str:
    if status == -signal.SIGKILL:
        return "killed: by somebody, or as the machine had no memory left"
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    return f"exit status {status}" if status else ""


def _not_started(error: OSError | ValueError, program: str, folder: Path) -> str:
    if not folder.is_dir():
        return f"there is no folder {folder} to start in; run.folder is seen from the project"
    if isinstance(error, FileNotFoundError):
        return f"there is no program {program!r}; expected a file, or a name that PATH finds"
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return f"the program {program!r} does not start: {reason}"
