"""What a process has only once, so that a module which changes it changes the runs after its own.

Comes in: code to be called. Goes out: everything here as it was before, and, for those who ask,
what that code had changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

cudnn = torch.backends.cudnn


@dataclass(frozen=True)
class Surrounding:
    """One thing that there is once: what it is called, how it is read, how it is put back."""

    name: str
    read: Callable[[], Any]
    put_back: Callable[[Any], object]


def _deterministic() -> tuple[bool, bool]:
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    return torch.are_deterministic_algorithms_enabled(), warns


def _put_back_deterministic(before: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def _put_back_device(before: torch.device) -> None:
    # A default that is named explicitly costs every call; the CPU is the default without one.
    torch.set_default_device(None if before == torch.device("cpu") else before)


def _put_back_environment(before: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(before)


SURROUNDINGS = (
    Surrounding("the default dtype", torch.get_default_dtype, torch.set_default_dtype),
    Surrounding("the default device", torch.get_default_device, _put_back_device),
    Surrounding("whether gradients are kept", torch.is_grad_enabled, torch.set_grad_enabled),
    Surrounding(
        "the search for anomalies", torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly
    ),
    Surrounding("deterministic algorithms", _deterministic, _put_back_deterministic),
    Surrounding(
        "cudnn.deterministic",
        lambda: cudnn.deterministic,
        lambda before: setattr(cudnn, "deterministic", before),
    ),
    Surrounding(
        "cudnn.benchmark",
        lambda: cudnn.benchmark,
        lambda before: setattr(cudnn, "benchmark", before),
    ),
    Surrounding(
        "the precision of products",
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    Surrounding("the number of threads", torch.get_num_threads, torch.set_num_threads),
    Surrounding("numpy's handling of errors", np.geterr, lambda before: np.seterr(**before)),
    Surrounding("the working folder", Path.cwd, os.chdir),
    Surrounding("environment variables", lambda: dict(os.environ), _put_back_environment),
)


@dataclass
class Changed:
    """What was changed: name -> (before, after)."""

    found: dict[str, tuple[Any, Any]] = field(default_factory=dict)


@contextmanager
def restored() -> Iterator[Changed]:
    """Put everything back that changes inside, and tell what that was."""
    before = [(each, each.read()) for each in SURROUNDINGS]
    changed = Changed()
    try:
        yield changed
    finally:
        for each, value in before:
            after = each.read()
            if after != value:
                changed.found[each.name] = value, after
                each.put_back(value)
