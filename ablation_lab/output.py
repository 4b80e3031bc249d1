"""Lines to whoever reads what a call says, without secrets.

When the reader of the standard output goes, as with ``| head``, nothing stops.
"""

from __future__ import annotations

import os
import sys

from ablation_lab.errors import redact


def say(text: str) -> None:
    """Print one line at once."""
    try:
        print(redact(text), flush=True)  # noqa: T201 - what a user reads while it runs
    except BrokenPipeError:
        fall_silent()


def warn(line: str) -> None:
    """Print what a user must know on the standard error, at once."""
    print(redact(line), file=sys.stderr, flush=True)  # noqa: T201 - the line a user is owed


def fall_silent() -> None:
    """Send what is left to be said nowhere: the reader has gone, and the work goes on."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
