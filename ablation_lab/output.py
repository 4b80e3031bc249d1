"""Lines to whoever reads the standard output; when they go, as with ``| head``, nothing stops."""

from __future__ import annotations

import os
import sys


def say(text: str) -> None:
    """Print one line at once."""
    try:
        print(text, flush=True)  # noqa: T201 - what a user reads while it runs
    except BrokenPipeError:
        fall_silent()


def fall_silent() -> None:
    """Send what is left to be said nowhere: the reader has gone, and the work goes on."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
