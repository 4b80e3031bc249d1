"""How a call is asked to end, by the signals that end it.

Ctrl-C, SIGTERM (what ``docker stop`` and schedulers send) and SIGHUP (a terminal that was closed)
end a call with one line and everything finished kept, within seconds; a second one ends it at once.
Imports alone take a second: in it nothing has been started yet.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType

from ablation_lab.errors import Stopped

Handler = Callable[[int, FrameType | None], None]
ENDING = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
# Seconds that a call has to end in good order.
GRACE = 5.0
# Seconds until it is seen again whether an import is over.
SOON = 0.05
IMPORTING = "<frozen importlib._bootstrap>"


def _handle_by(handler: Handler) -> None:
    for number in (getattr(signal, name) for name in ENDING if hasattr(signal, name)):
        # What a parent had this process ignore, as nohup does, stays ignored.
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def _stop_at_once(number: int, frame: FrameType | None) -> None:
    # An exception could arise inside an import that swallows it, or prints it.
    os.write(sys.stderr.fileno(), b"stopped; nothing was started\n")
    os._exit(128 + number)


def _stop(number: int, frame: FrameType | None) -> None:
    _handle_by(_end)
    # An exception is lost where it arises in a callback, and what is cleaned up may hang.
    _later(GRACE, partial(_end, number, None))
    _raise(number, frame)


def _raise(number: int, frame: FrameType | None) -> None:
    """Raise outside of imports: one of a library in C++ that meets an exception aborts."""
    if not hasattr(signal, "pthread_kill") or not _is_import(frame):
        raise Stopped(number)
    signal.signal(signal.SIGURG, lambda _, frame: _raise(number, frame))
    main = threading.get_ident()
    _later(SOON, partial(signal.pthread_kill, main, signal.SIGURG))


def _is_import(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == IMPORTING:
            return True
        frame = frame.f_back
    return False


def _later(seconds: float, act: Callable[[], object]) -> None:
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()


def _end(number: int, frame: FrameType | None) -> None:
    # Workers end when this process does.
    os.write(sys.stderr.fileno(), b"stopped at once; everything finished so far is kept\n")
    os._exit(128 + number)


def _wake_for_signals() -> None:
    """Have what the main thread waits for end when a signal came.

    The system gives a signal to any thread, and Python lets the main one alone answer it: one that
    waits for a lock would go on waiting. It is sent another signal, for itself, which says nothing.
    """
    if not hasattr(signal, "pthread_kill"):
        return
    heard, said = os.pipe()
    os.set_blocking(said, False)
    nudge, main = signal.SIGURG, threading.main_thread().ident

    def pass_on() -> None:
        while came := os.read(heard, 1):
            if came[0] != nudge and main is not None:
                signal.pthread_kill(main, nudge)

    signal.signal(nudge, lambda number, frame: None)
    signal.set_wakeup_fd(said, warn_on_full_buffer=False)
    threading.Thread(target=pass_on, daemon=True).start()


def call(load: Callable[[], Callable[[], int]]) -> int:
    """Load what a call needs, then let it act; its end is one line however it is asked for."""
    _wake_for_signals()
    _handle_by(_stop_at_once)
    # Python's own process that cleans up after a call which ended at once would say so.
    sys.warnoptions.append("ignore::UserWarning:multiprocessing.resource_tracker")
    act = load()
    _handle_by(_stop)
    status = act()
    # What is left ends with the process: to look through it for cycles takes seconds.
    gc.freeze()
    return status
