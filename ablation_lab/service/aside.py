"""A process beside the service, which has the project's plug-ins: what may take long is done there.

Comes in: functions to call. Goes out: what they return. The service itself imports no plug-in, so
that it answers at once when it starts, and while a study, however large or hostile, is looked at.
A plug-in that was changed since is imported by a new process.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from ablation_lab.errors import ConfigurationError

SECONDS = 60.0  # until something takes too long
Files = frozenset[tuple[str, float]]
Given = ParamSpec("Given")
Result = TypeVar("Result")


class TooLarge(ConfigurationError):
    """What is asked is more than a service looks at."""


@dataclass(frozen=True)
class Stale:
    """What a process returns that has not the plug-ins as they are now; ``why`` they cannot be."""

    why: str = ""


class Aside:
    """Calls functions, one after another, in a process of its own, in the folder of a project."""

    def __init__(self, project: Path, plugins: Sequence[str]) -> None:
        """Know the project; the process starts when it is first needed."""
        self._context = multiprocessing.get_context("forkserver")
        self._initialise = partial(_enter, project, tuple(plugins))
        self._pool = self._start()
        self._one = threading.Lock()

    def warm(self, imported: Callable[[], object] = os.getpid) -> None:
        """Have the process import what it needs, before it is asked."""
        self._pool.submit(imported)

    def call(
        self, function: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs
    ) -> Result:
        """Return what a function of a module returns.

        Errors: its own; ``TooLarge`` where it takes too long; ``ConfigurationError`` of a plug-in.
        """
        act: Callable[[], Result | Stale] = partial(_called, partial(function, *args, **kwargs))
        with self._one:
            found = self._result(act)
            if isinstance(found, Stale):
                self._renew()
                found = self._result(act)
        if isinstance(found, Stale):
            raise ConfigurationError(found.why)
        return found

    def _result(self, act: Callable[[], Result | Stale]) -> Result | Stale:
        try:
            return self._pool.submit(act).result(SECONDS)
        except (BrokenProcessPool, TimeoutError):
            self._renew()
            raise TooLarge(f"this study takes more than {SECONDS:.0f} s to be looked at") from None

    def close(self) -> None:
        """End the process."""
        for each in list(getattr(self._pool, "_processes", {}).values()):
            each.kill()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _renew(self) -> None:
        self.close()
        self._pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, self._context, self._initialise)


# Of the process aside: the project, its files as they were imported, or why they could not be.
_entered: list[tuple[Path, Files, str]] = []


def _enter(project: Path, plugins: tuple[str, ...]) -> None:
    threading.Thread(target=_end_with_service, daemon=True).start()
    from ablation_lab.runner.plugins import enter

    wrong = ""
    try:
        enter(project, plugins)
    except ConfigurationError as error:
        wrong = str(error)
    _entered[:] = [(project, _files(project), wrong)]


def _called(act: Callable[[], Result]) -> Result | Stale:
    ((project, before, wrong),) = _entered
    return Stale(wrong) if wrong or _files(project) != before else act()


def _files(project: Path) -> Files:
    """Return the files of the project that were imported, and which plug-ins it names, with times.

    What is installed is taken as it was when the service started.
    """
    return frozenset((path, _changed(path)) for path in _imported(f"{project}{os.sep}"))


def _imported(project: str) -> Iterator[str]:
    yield f"{project}conf/config.yaml"
    for module in list(sys.modules.values()):
        path: Any = getattr(module, "__file__", None) or ""
        if path.startswith(project) and "site-packages" not in path:
            yield path


def _changed(path: str) -> float:
    try:
        return Path(path).stat().st_mtime
    except OSError:
        return 0.0


def _end_with_service() -> None:
    """End with the service, however it went; the process that forked this one ends then, too."""
    if service := multiprocessing.parent_process():
        service.join()
        os._exit(0)
