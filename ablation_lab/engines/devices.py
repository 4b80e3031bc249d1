"""What this machine has: cores, and the CUDA devices that are visible and asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from ablation_lab.errors import ConfigurationError

TOOL = "nvidia-smi"
# A driver of graphics cards that does not answer for so long will not train anything either.
PATIENCE = 20.0

# So many, these, or (None) all of the visible devices.
Asked = int | tuple[str, ...] | None
PLACE = "config.yaml: engine"  # of the settings of every engine


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def visible() -> tuple[str, ...]:
    """Return the CUDA devices that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them.

    Neither torch nor a device is touched: the runner of a study needs none itself.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        entries = [entry.strip() for entry in named.split(",")]
        # As CUDA reads the variable: what follows an impossible entry does not count.
        stop = next((i for i, entry in enumerate(entries) if entry in ("", "-1")), len(entries))
        return tuple(entries[:stop])
    return tuple(str(number) for number in range(_installed()))


def chosen(asked: Asked, place: str) -> tuple[str, ...]:
    """Return the devices that were asked for.

    Errors: ``ConfigurationError`` at ``place`` where one of them does not exist.
    """
    found = visible()
    if asked is None:
        return found
    if isinstance(asked, int):
        validate_count(asked, len(found), place, "this process sees")
        return found[:asked]
    for device in asked:
        if device not in found:
            raise ConfigurationError(
                f"{place}: no CUDA device {device!r}; visible: {', '.join(found) or 'none'}"
            )
    return asked


def validate_count(asked: int, found: int, place: str, who: str) -> None:
    """Refuse to go on with more devices than there are."""
    if asked > found:
        raise ConfigurationError(
            f"{place}: expected at most the {found} CUDA devices that {who}, found {asked}"
        )


def _asked(value: object) -> Asked:
    """Return a number of devices, a list of them, or None for all."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        return tuple(str(device) for device in value)
    raise ValueError(f"expected a number of CUDA devices, a list of them or null, found {value!r}")


Gpus = Annotated[Asked, BeforeValidator(_asked)]


def memory() -> int | None:
    """Return the bytes of this machine's smallest card, None where that cannot be asked.

    A part of a card (MIG) has less, which its driver does not say in this list.
    """
    if any(device.startswith("MIG") for device in visible()):
        return None
    answer = _ask("--query-gpu=memory.total", "--format=csv,noheader,nounits")
    mebibytes = [int(line) for line in answer.splitlines() if line.strip().isdecimal()]
    return min(mebibytes) << 20 if mebibytes else None


def _installed() -> int:
    if shutil.which(TOOL) is None:
        return len(list(Path("/dev").glob("nvidia[0-9]*")))
    return sum(line.startswith("GPU ") for line in _ask("--list-gpus").splitlines())


def _ask(*options: str) -> str:
    """Return what the driver's own tool answers; nothing where it is missing or fails."""
    try:
        answer = subprocess.run(
            [TOOL, *options], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout
