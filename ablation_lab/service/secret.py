"""Files of this machine with a secret in them: read only where nobody else can."""

from __future__ import annotations

import os
from pathlib import Path

from ablation_lab.errors import ConfigurationError

OTHERS = 0o077


def private(path: Path, what: str) -> bytes:
    """Return the content of a file that its owner alone can read.

    Errors: ``ConfigurationError`` where others can, or it cannot be read at all.
    """
    try:
        with path.open("rb") as file:
            if (mode := os.fstat(file.fileno()).st_mode) & OTHERS:
                raise ConfigurationError(
                    f"{what}: {path} can be read by others (mode {mode & 0o777:04o}); expected "
                    f"0600: chmod 600 {path}"
                )
            return file.read()
    except OSError as error:
        raise ConfigurationError(f"{what}: {path}: {error.strerror}") from None
