"""A disk of its own, in memory: filled up, emptied, and made read-only, by root alone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SIZE = 40 << 20
CHUNK = bytes(1 << 16)


class Disk:
    """A small file system at ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filling = folder / "filling"

    def fill(self, but: int = 0) -> None:
        """Leave so many bytes of room."""
        with self._filling.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(CHUNK):
                pass
        with self._filling.open("r+b") as file:
            file.truncate(max(0, self._filling.stat().st_size - but))

    def empty(self) -> None:
        """Give the room back."""
        self._filling.unlink()

    def set_writable(self, writable: bool) -> None:
        """Let everyone write, or nobody; no file may be open for writing."""
        mode = "rw" if writable else "ro"
        subprocess.run(["mount", "-o", f"remount,{mode}", self.folder], check=True)


@contextmanager
def mounted(folder: Path) -> Iterator[Disk]:
    """Mount a disk for a while."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"no disk to fill: {done.stderr}; call as root"
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
