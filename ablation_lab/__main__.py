"""``ablation run study=demo profile=quick``: the start of every call."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ablation_lab.signals import call


def start() -> int:
    """Start the command line."""
    return call(_loaded)


def _loaded() -> Callable[[], int]:
    import hydra  # noqa: F401 - the slow part of the imports

    from ablation_lab.cli import main

    return main


if __name__ == "__main__":
    sys.exit(start())
