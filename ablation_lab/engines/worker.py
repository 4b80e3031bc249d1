"""What a worker does, whichever engine started it: threads, import path, one job at a time."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from ablation_lab.training.fault import RAISED, said, traced

HASHES = "PYTHONHASHSEED"
Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """What a function gave back, or what it raised."""

    result: Result | None
    error: str = ""
    traceback: str = ""


def attempt(function: Callable[[Job], Result], job: Job) -> Outcome[Result]:
    """Run a job; an exception is an outcome like any other."""
    try:
        return Outcome(function(job))
    except RAISED as error:  # the job's own; it must not end the worker
        return failed(error)


def failed(error: BaseException) -> Outcome[Any]:
    """Return the outcome of a job that raised: one line, and the traceback."""
    return Outcome(None, said(error), traced(error))


def environment(threads: int) -> dict[str, str]:
    """Return the variables that hold a worker to its share of the cores, and to one order of sets.

    Python hashes texts otherwise in every process, unless it is told how before it starts.
    """
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    # One compiler process at most: the other cores have workers of their own.
    return dict.fromkeys(names, str(threads)) | {
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
        HASHES: "0",
    }


def prepare(threads: int) -> None:
    """Hold this process to ``threads`` threads; torch, which a command never needs, if it comes."""
    os.environ.update(environment(threads))
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)


def import_path() -> list[str]:
    """Return the folders from which this process imports, but for Python's own."""
    installed = [Path(prefix).resolve() for prefix in {sys.prefix, sys.base_prefix}]
    folders = [Path(entry or ".").resolve() for entry in sys.path]
    return [
        str(folder)
        for folder in dict.fromkeys(folders)
        if folder.is_dir() and not any(folder.is_relative_to(prefix) for prefix in installed)
    ]
