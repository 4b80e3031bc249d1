"""Errors that a user can mend, each one line: what, where, expected, found, what to do."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

from lightning_modules.registry import nearest

__all__ = ["ConfigurationError", "StoreError", "installing", "nearest", "redact"]

HIDDEN = r"\1***"
SECRETS = (
    # scheme://user:password@host, where the text is an address alone, and anywhere in a text
    re.compile(r"\A([a-z][\w+.-]*://[^\s/:@?]*:).*(?=@)", re.IGNORECASE | re.DOTALL),
    re.compile(r"(://[^\s/:@?]*:)\S*(?=@)"),
    # https://token@host
    re.compile(r"(\bhttps?://)[^\s/:@?]+(?=@)", re.IGNORECASE),
    # ?password=..., libpq's password='...', and "password": "..." of a file of settings
    re.compile(
        r"((?:(?:passw(?:or)?d|passphrase|pwd|secret|api[_-]?key|access[_-]?key)[\w-]*['\"]?\s*[=:]|"
        r"(?:token|credentials?|signature)[\w-]*['\"]?\s*=)\s*)"
        r"(?:'[^']*'|\"[^\"]*\"|[^&\s,;'\"]+)",
        re.IGNORECASE,
    ),
    # a header of HTTP
    re.compile(r"(\b(?:Bearer|Basic)\s+)[\w.~+/=-]+"),
)


class ConfigurationError(ValueError):
    """A study, setting or option is wrong; nothing has been started."""


class StoreError(RuntimeError):
    """The store of runs cannot be read or written; nothing has been started."""


class Stopped(KeyboardInterrupt):
    """A signal asked this call to end; ``status`` is what it says of that when it has."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.status = 128 + number


def installing(requirement: str) -> str:
    """Return the command that installs a package for the Python that runs this."""
    python, here = Path(sys.executable), Path.cwd()
    short = python.relative_to(here) if python.is_relative_to(here) else python
    return f"{shlex.quote(str(short))} -m pip install '{requirement}'"


def redact(text: str) -> str:
    """Return an address, or a line with addresses in it, as it may be printed: without secrets.

    A password ends at the last @ of its word, or of the text where that is an address alone; the
    user of a web address without a password is a token.
    """
    for secret in SECRETS:
        text = secret.sub(HIDDEN, text)
    return text
