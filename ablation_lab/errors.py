"""Errors that a user can mend, each one line: what, where, expected, found, what to do."""

from __future__ import annotations

import difflib
import re
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path


class ConfigurationError(ValueError):
    """A study, preset or option is wrong; nothing has been started."""


class StoreError(RuntimeError):
    """The store of runs cannot be read or written; nothing has been started."""


def nearest(found: object, known: Iterable[object]) -> str:
    """Say which known name is nearest to ``found`` and which names there are."""
    names = [str(name) for name in known]
    close = difflib.get_close_matches(str(found), names, n=1, cutoff=0.4)
    hint = f"nearest: {close[0]!r}; " if close else ""
    return f"{hint}known: {', '.join(names) if names else 'none'}"


def installing(requirement: str) -> str:
    """Return the command that installs a package for the Python that runs this."""
    python, here = Path(sys.executable), Path.cwd()
    short = python.relative_to(here) if python.is_relative_to(here) else python
    return f"{shlex.quote(str(short))} -m pip install '{requirement}'"


def shown(uri: str) -> str:
    """Return the address of a store as it may be printed: without its password."""
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", uri)
