"""Errors that a user can mend, each one line: what, where, expected, found, what to do."""

from __future__ import annotations

import os
import re
import shlex
import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from lightning_modules.registry import nearest

__all__ = ["ConfigurationError", "StoreError", "installing", "nearest", "redact"]

HIDDEN = r"\1***"
# Variables whose values are secrets, however long or short the text in which they come to stand.
VARIABLES = re.compile(
    r"(PASSW|SECRET|CREDENTIAL|TOKEN(?![a-z])|API_?KEY|ACCESS_KEY|PRIVATE_KEY)"
    r"(?!.*_(PATH|FILE|DIR)$)",
    re.IGNORECASE,
)
IN_ADDRESS = re.compile(r"\w://[^\s/:@?]*:(\S+)@")
# Addresses that this process was given otherwise.
_given: list[str] = []
SHORTEST = 4  # letters of a secret that is known by itself; a shorter one is within any word
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
    # a token of the service, wherever it stands
    re.compile(r"(\babl_)[\w-]{20,}"),
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
    """Return a text, such as a line with addresses in it, as others may see it: without secrets.

    A password ends at the last @ of its word, or of the text where that is an address alone; the
    user of a web address without a password is a token. What the environment holds of secrets is
    hidden wherever it stands, also in the parts into which a password is cut at its @.
    """
    for secret in SECRETS:
        text = secret.sub(HIDDEN, text)
    values = tuple(os.environ[name] for name in os.environ if VARIABLES.search(name))
    addresses = tuple(value for value in os.environ.values() if "://" in value)
    for known in _known(values, (*addresses, *_given)):
        text = text.replace(known, "***")
    return text


def keep_secret(*addresses: str) -> None:
    """Have `redact` hide the passwords of these addresses wherever they stand."""
    _given.extend(addresses)


@cache
def _known(values: tuple[str, ...], addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Return the secrets among values of the environment, the longest first."""
    whole = {*values, *(word for each in addresses for word in IN_ADDRESS.findall(each))}
    ways = {way for word in whole for way in (word, unquote(word))}
    parts = ways | {part for way in ways for part in way.split("@")}
    return tuple(sorted((part for part in parts if len(part) >= SHORTEST), key=len, reverse=True))
