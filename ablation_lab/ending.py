"""How a call ends that cannot go on: in one line, whatever happened; a defect leaves a report too.

What a user can mend is told by who knows it. What is of the world outside (a database, a server, a
disk, the network, a permission) is told here, with what to do. The rest is a fault of the lab.
"""

from __future__ import annotations

import errno
import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ablation_lab.errors import Stopped, redact
from ablation_lab.output import warn

FAILED, MENDABLE = 1, 2
LONGEST, MOST = 300, 3000  # letters of what an error says, and of a line
PACKAGES = ("ablation-lab", "torch", "pytorch-lightning", "mlflow", "optuna", "sqlalchemy", "numpy")
TOLD = ("ABLATION_", "MLFLOW_", "CUDA_VISIBLE", "SLURM_JOB_ID")  # of the environment
# By name, so that nothing has to be imported: who raised one of them has.
DATABASE = frozenset(
    {
        *(f"sqlalchemy.exc.{name}Error" for name in ("Database", "Interface", "Timeout")),
        *("sqlite3.DatabaseError", "optuna.exceptions.StorageInternalError"),
    }
)
OWN = ("IntegrityError", "ProgrammingError", "DataError")  # what we asked was wrong
SERVER = frozenset({"requests.exceptions.RequestException", "urllib3.exceptions.HTTPError"})
# What MLflow calls a failure that is not of the question.
FAILURES = ("TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR", "PERMISSION_DENIED", "UNAUTHENTICATED")
KEPT = "call again; everything finished so far is kept"
FEWER = f"ask for fewer workers (engine.workers), then {KEPT}"
ADVICE: tuple[tuple[tuple[int, ...], str], ...] = (
    ((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), f"make room, then {KEPT}"),
    (
        (errno.EACCES, errno.EPERM, errno.EROFS),
        f"see that it may be read and written, or choose another place, then {KEPT}",
    ),
    ((errno.EMFILE, errno.ENFILE), f"raise the limit of open files (`ulimit -n`), then {KEPT}"),
    ((errno.ENOMEM, errno.EAGAIN), FEWER),
    ((errno.EIO, errno.ESTALE), f"see whether the disk or its server is well, then {KEPT}"),
    (
        (
            *(errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.ETIMEDOUT),
            *(errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EPIPE, errno.EADDRINUSE),
        ),
        f"see that the other side is there, then {KEPT}",
    ),
)


def carried_out(act: Callable[[], int], *, mendable: Callable[[Exception], str]) -> int:
    """Do what a call does; return its exit status, whatever happens.

    ``mendable`` returns the line for an error that only its maker knows, '' for any other.
    """
    try:
        return act()
    except KeyboardInterrupt as stopped:
        warn("stopped; everything finished so far is kept")
        return stopped.status if isinstance(stopped, Stopped) else 130
    except Exception as error:
        if line := mendable(error):
            warn(f"error: {_cut(line)}")
            return getattr(error, "status", MENDABLE)
        warn(f"error: {outside(error) or reported(error)}")
        return FAILED


def outside(error: BaseException) -> str:
    """Return in one line what of the world outside failed and what to do; '' for anything else."""
    causes = list(_causes(error))
    found = (kind(each, causes[-1]) for kind in KINDS for each in causes)
    return redact(next(filter(None, found), ""))


def reported(error: BaseException) -> str:
    """Write a report on a defect of the lab; return the line that names it."""
    text = redact("\n".join([*_surroundings(), "", *traceback.format_exception(error)]))
    name = f"defect-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    what = f"a defect of the lab: {_said(error)}"
    for folder in (Path("runs"), Path(tempfile.gettempdir())):
        try:
            folder.mkdir(exist_ok=True)
            with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.write(text)
        except OSError:
            continue
        return f"{what}; {folder / name} says more: please report it with that file"
    return f"{what}; no report could be written\n{text}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came from; who raised last says most of where."""
    yield error
    if (cause := error.__cause__ or error.__context__) is not None:
        yield from _causes(cause)


def _of_a_database(error: BaseException, first: BaseException) -> str:
    if not _names(error) & DATABASE or type(error).__name__ in OWN:
        return ""
    return f"the database failed: {_said(error)}; see that it is there and whole, then {KEPT}"


def _of_a_server(error: BaseException, first: BaseException) -> str:
    if not _names(error) & SERVER:
        return ""
    return f"the server does not answer: {_said(first)}; see that it runs, then {KEPT}"


def _of_a_store(error: BaseException, first: BaseException) -> str:
    if getattr(error, "error_code", "") not in FAILURES:
        return ""
    return f"the store failed: {_said(error)}; see that it is there, then {KEPT}"


def _of_the_machine(error: BaseException, first: BaseException) -> str:
    if isinstance(error, MemoryError):
        return f"the machine has no memory left; {FEWER}"
    if not isinstance(error, OSError):
        return ""
    advice = next((advice for numbers, advice in ADVICE if error.errno in numbers), "")
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror}; {advice}" if advice else ""


# What an error is of: those that say most of it come first.
KINDS = (_of_a_database, _of_a_server, _of_a_store, _of_the_machine)


def _cut(line: str) -> str:
    """Return a line that can be read though somebody typed a book."""
    return line if len(line) <= MOST else f"{line[: MOST - 400]} … {line[-400:]}"


def _names(error: BaseException) -> set[str]:
    return {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}


def _said(error: BaseException) -> str:
    """Return what an error says, in one line; of a database's, what the database says."""
    text = " ".join(str(getattr(error, "orig", None) or error).split())
    return redact(f"{type(error).__name__}: {text}" if text else type(error).__name__)[:LONGEST]


def _surroundings() -> Iterator[str]:
    """Yield what a report says besides the traceback."""
    yield f"command: {' '.join(sys.argv)}"
    yield f"python {platform.python_version()}, {platform.platform()}"
    yield ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    yield from (f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith(TOLD))
    settings = Path("conf", "config.yaml")
    if settings.is_file():
        yield f"\n{settings}:\n{settings.read_text(encoding='utf-8', errors='replace')}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "is not installed"
