"""Digests of what a report shows: of the code that writes it."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("report", "statistics", "store", "study")  # whose code decides what a report shows
SOURCES = (".py", ".j2", ".css", ".js", ".typ", ".yaml")


@cache
def code() -> str:
    """A digest of every file of code and every template by which reports are written."""
    digest = hashlib.sha256()
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*")):
        if path.suffix in SOURCES:
            digest.update(path.read_bytes())
    return digest.hexdigest()
