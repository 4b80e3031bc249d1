"""Download of one declared file: into the data folder, verified before it gets its name.

Comes in: a declared file and the folder for it. Goes out: the path of a file whose sum is right,
or one line that says why there is none.
"""

import hashlib
import io
import os
import sys
import tempfile
from pathlib import Path

from ablation_lab.data.dataset import Alternative, DataError, DataFile

# Seconds without any answer after which a mirror counts as absent.
PATIENCE = 10.0


def cache_folder() -> Path:
    """Return the folder for downloads, ~/.cache/ablation-lab on Linux."""
    import pooch

    return Path(pooch.os_cache("ablation-lab"))


def download(file: DataFile, folder: Path) -> tuple[Path, Alternative]:
    """Fetch `file` in the first form that some address gives, below `folder`.

    Errors: DataError with one reason for each address that was tried.
    """
    reasons = []
    for form in file.forms():
        for url in form.urls:
            try:
                return _fetch(url, form, folder), form
            except (OSError, ValueError) as error:
                reasons.append(f"{url}: {_reason(error)}")
    raise DataError("; ".join(reasons) or "no address is declared for it")


def _fetch(url: str, form: Alternative, folder: Path) -> Path:
    """Fetch one address into memory, verify, and only then touch the disk."""
    import pooch

    stream = io.BytesIO()
    get = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=PATIENCE)
    get(url, stream, None)
    raw = stream.getvalue()
    found = hashlib.sha256(raw).hexdigest()
    if found != form.sha256:
        raise DataError(f"expected sha256 {form.sha256}, found {found}")
    target = folder / form.path
    target.parent.mkdir(parents=True, exist_ok=True)
    _write(raw, target)
    return target


def _write(raw: bytes, target: Path) -> None:
    """Write a file in one step: another process sees all of it or nothing."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".download-")
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(raw)
        # The temporary file is private to its owner; a data folder is often shared.
        partial.chmod(0o644)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    """Say in a few words why a download failed; library messages run over many lines."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP status {response.status_code}"
    if isinstance(error, DataError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"no connection ({type(error).__name__})"
