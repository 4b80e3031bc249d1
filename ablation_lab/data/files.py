"""Where the files of a data set lie, whether they are right, and what is in them.

Comes in: a declared data set and, if given, a data folder. Goes out: verified bytes by declared
name. Every file is read once; the bytes that are decoded are the bytes whose sum was checked. What
is missing is downloaded into the data folder, and verified before it gets its name.
"""

import gzip
import hashlib
import io
import lzma
import os
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ablation_lab.data.dataset import (
    DATASETS,
    Alternative,
    DataError,
    DataFile,
    Dataset,
    base_name,
)

# Seconds without any answer after which a mirror counts as absent.
PATIENCE = 10.0


@dataclass(frozen=True)
class Source:
    """A verified file: where it lies, which form of the declared file it is, its bytes."""

    path: Path
    form: Alternative
    raw: bytes


def verified_sources(dataset: Dataset, root: Path | None) -> dict[str, Source]:
    """Return the source of every declared file, by declared name; download what is missing.

    Errors: DataError, one line, for the first file that is missing, unreadable or wrong.
    """
    # An archive serves several declared files: read and sum it once.
    seen: dict[Path, tuple[bytes, str]] = {}
    return {file.name: _source(dataset, file, root, seen=seen) for file in dataset.files}


def decoded(sources: dict[str, Source]) -> dict[str, bytes]:
    """Return the decompressed bytes of every source, by declared name.

    Errors: DataError for a file that cannot be decompressed.
    """
    archives: dict[Path, list[str]] = {}
    for name, source in sources.items():
        archives.setdefault(source.path, []).append(name)
    # zlib and lzma release the interpreter lock, so threads halve the six CIFAR-10 batches.
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        groups = pool.map(
            lambda names: _decode([(n, sources[n]) for n in names]), archives.values()
        )
        contents = dict(pair for group in groups for pair in group)
    return {name: contents[name] for name in sources}


def _source(
    dataset: Dataset, file: DataFile, root: Path | None, *, seen: dict[Path, tuple[bytes, str]]
) -> Source:
    for path, form in _candidates(dataset, file, root):
        if path not in seen:
            seen[path] = _read(dataset, path)
        raw, found = seen[path]
        if found == form.sha256 or file.lost:
            return Source(path, form, raw)
        if not _belongs_elsewhere(found, file):
            raise DataError(
                f"{dataset.name}: wrong file {path}: expected sha256 {form.sha256}, found {found}; "
                "replace it, or remove it to have it downloaded"
            )
    return _downloaded(dataset, file, root)


def _folders(root: Path | None) -> Iterator[Path]:
    """Give the folders to search, lazily: the cache folder is asked for only when needed."""
    given = _given_folder(root)
    if given is not None:
        yield given
    yield cache_folder()


def _given_folder(root: Path | None) -> Path | None:
    place = root if root is not None else os.environ.get("ABLATION_DATA")
    return Path(place).expanduser() if place else None


def _candidates(
    dataset: Dataset, file: DataFile, root: Path | None
) -> Iterator[tuple[Path, Alternative]]:
    """Give the existing files that may be `file`: as declared, in <dataset>/, in the root."""
    for folder in _folders(root):
        for form in file.forms():
            base = base_name(form.path)
            for place in dict.fromkeys((form.path, f"{dataset.name}/{base}", base)):
                path = folder / place
                if _is_file(dataset, path):
                    yield path, form


def _is_file(dataset: Dataset, path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise _unreadable(dataset, path, error) from None


def _belongs_elsewhere(found: str, file: DataFile) -> bool:
    """Say whether `found` is the sum of another declared file with the same base name.

    MNIST and Fashion-MNIST call their files alike; lying in the root, one hides the other.
    """
    base = base_name(file.name)
    return any(
        found == form.sha256
        for name in DATASETS.names()
        for other in DATASETS.get(name).files
        if base_name(other.name) == base and other.sha256 != file.sha256
        for form in other.forms()
    )


def _read(dataset: Dataset, path: Path) -> tuple[bytes, str]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise _unreadable(dataset, path, error) from None
    return raw, hashlib.sha256(raw).hexdigest()


def _unreadable(dataset: Dataset, path: Path, error: OSError) -> DataError:
    return DataError(f"{dataset.name}: cannot read {path}: {error.strerror}; make it readable")


def _downloaded(dataset: Dataset, file: DataFile, root: Path | None) -> Source:
    given = _given_folder(root)
    if file.lost:
        raise DataError(
            f"{dataset.name}: file {file.name} not found in "
            f"{', '.join(str(place) for place in _folders(root))}, and no public copy is known: "
            f"{file.lost}; put such a file at {file.name} in the folder of ABLATION_DATA or "
            "data.root"
        )
    folder = given if given is not None and _writable(given) else cache_folder()
    try:
        path, form = _download(file, folder)
    except DataError as error:
        searched = ", ".join(str(place) for place in _folders(root))
        names = " or ".join(dict.fromkeys(form.path for form in file.forms()))
        raise DataError(
            f"{dataset.name}: file {names} not found in {searched} and not downloaded "
            f"({error}); put it there, or set ABLATION_DATA or data.root to the folder that has it"
        ) from None
    raw, _ = _read(dataset, path)
    return Source(path, form, raw)


def cache_folder() -> Path:
    """Return the folder for downloads, ~/.cache/ablation-lab on Linux."""
    import pooch

    return Path(pooch.os_cache("ablation-lab"))


def _download(file: DataFile, folder: Path) -> tuple[Path, Alternative]:
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
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".download-", delete=False) as file:
        partial = Path(file.name)
    try:
        partial.write_bytes(raw)
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


def _writable(folder: Path) -> bool:
    """Say whether `folder` can take files, or can be made."""
    existing = next((place for place in (folder, *folder.parents) if place.exists()), None)
    return existing is not None and existing.is_dir() and os.access(existing, os.W_OK)


def _decode(group: Sequence[tuple[str, Source]]) -> list[tuple[str, bytes]]:
    """Decompress one stored file, which serves one declared file or, as an archive, several."""
    first = group[0][1]
    try:
        if not first.form.member:
            return [(name, _decompress(source)) for name, source in group]
        with tarfile.open(fileobj=io.BytesIO(first.raw)) as archive:
            return [(name, _member(archive, source)) for name, source in group]
    except (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError) as error:
        text = " ".join(str(error).split())
        raise DataError(f"cannot decompress {first.path}: {text}; replace it") from None


def _decompress(source: Source) -> bytes:
    if source.form.path.endswith(".gz"):
        return gzip.decompress(source.raw)
    if source.form.path.endswith(".xz"):
        return lzma.decompress(source.raw)
    return source.raw


def _member(archive: tarfile.TarFile, source: Source) -> bytes:
    try:
        stream = archive.extractfile(source.form.member)
    except KeyError:
        stream = None
    if stream is None:
        raise tarfile.TarError(f"no file {source.form.member} in it")
    return stream.read()
