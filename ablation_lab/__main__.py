"""``ablation run study=demo profile=quick``: the start of every call.

Imports alone take a second. A Ctrl-C in it ends the call with one line, as at any later time:
nothing has been started yet.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def _stop_at_once(number: int, frame: FrameType | None) -> None:
    # An exception could arise inside an import that swallows it, or prints it.
    os.write(sys.stderr.fileno(), b"stopped; nothing was started\n")
    os._exit(130)


def start() -> int:
    """Start the command line; Ctrl-C during the imports is one line."""
    signal.signal(signal.SIGINT, _stop_at_once)
    import hydra  # noqa: F401 - the slow part of them

    from ablation_lab.cli import main

    signal.signal(signal.SIGINT, signal.default_int_handler)
    return main()


if __name__ == "__main__":
    sys.exit(start())
