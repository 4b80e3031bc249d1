"""`ablation backup FILE` and `ablation restore FILE`: all that a project has trained and queued.

Comes in: a project, which may be at work. Goes out: one file, or a project that goes on from it.
Databases are copied one after another, each as of one moment: first the queues, then the store,
then the files of its runs. So a run that ends meanwhile is found done, whatever a queue says of its
cell, or is trained again: nothing is lost or there twice. What git keeps (`conf/`, plug-ins) and
what can be written anew (`reports/`) is not in it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from sqlalchemy import make_url, select

from ablation_lab.errors import ConfigurationError, StoreError, redact
from ablation_lab.output import say
from ablation_lab.service.serve import settings_at
from ablation_lab.service.submissions import Submissions
from ablation_lab.service.tables import STUDIES, service_uri
from ablation_lab.store.connect import file_of, is_absent
from ablation_lab.store.leases import let_go
from ablation_lab.store.places import FOLDER

if TYPE_CHECKING:
    from ablation_lab.runner.configuration import Tracking
    from ablation_lab.verb import Call

SERVICE, DUMP = "service", ".dump"
STOPPED = 143  # how processes ended that a backup knows: as if they had been asked to


def back_up(call: Call) -> int:
    """Write the file, whole or not at all. Errors: ``ConfigurationError``, ``StoreError``."""
    target, call = _named(call, "backup")
    tracking = settings_at(call).tracking
    if target.exists() or not target.parent.is_dir():
        raise ConfigurationError(f"backup: expected a new file in a folder, found {target}")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-") as folder:
        made = Path(folder) / "file"
        made.touch(0o600)  # its owner's alone: who may come in is in it, if only as sums
        with made.open("wb") as file:
            _pack(file, tracking, Path(folder))
        made.replace(target)
    say(f"backup  {target} ({target.stat().st_size / 1e6:,.1f} MB)")
    return 0


def restore(call: Call) -> int:
    """Have the project go on from a file. Errors: ``ConfigurationError``, ``StoreError``."""
    source, call = _named(call, "restore")
    tracking = settings_at(call).tracking
    home = _home(tracking)
    if home.exists() and any(home.iterdir()):
        raise ConfigurationError(f"restore: {home} is not empty; expected a project without runs")
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".restore-") as folder:
        made = Path(folder) / "runs"
        _unpack(source, made)
        for uri, name in _databases(tracking):
            if name.endswith(DUMP) and (made / name).exists():
                _postgres("pg_restore", uri, "--no-owner", "--exit-on-error", str(made / name))
                (made / name).unlink()
        shutil.rmtree(home, ignore_errors=True)
        made.replace(home)
    _let_go(tracking)
    say(f"restored  {home}; `ablation serve` goes on with it")
    return 0


def _named(call: Call, verb: str) -> tuple[Path, Call]:
    files = [word for word in call.words if "=" not in word]
    if len(files) != 1:
        raise ConfigurationError(f"{verb}: expected one file, as in `ablation {verb} lab.tar.gz`")
    settings = tuple(word for word in call.words if word not in files)
    return Path(files[0]).absolute(), replace(call, words=settings)


def _databases(tracking: Tracking) -> list[tuple[str, str]]:
    """Return each database once, in the order of copies, and what it is called in a backup."""
    every = (tracking.queue, service_uri(tracking.queue), tracking.uri)
    ours = [uri for uri in dict.fromkeys(every) if not uri.startswith("http")]
    paths = [file_of(uri) for uri in ours]
    names = [path.name if path else f"{number}{DUMP}" for number, path in enumerate(paths)]
    return list(zip(ours, names, strict=True))


def _home(tracking: Tracking) -> Path:
    """Return the folder that holds all files of a store: what is kept elsewhere is the user's."""
    paths = [path for uri, _ in _databases(tracking) if (path := file_of(uri))]
    folders = {path.absolute().parent for path in paths} or {Path("runs").absolute()}
    if len(folders) > 1 or tracking.artifacts:
        raise ConfigurationError(
            "restore: expected tracking.uri and tracking.queue in one folder, with the artifacts "
            f"beside them, found {', '.join(map(str, sorted(folders)))}"
        )
    return folders.pop()


def _pack(file: BinaryIO, tracking: Tracking, folder: Path) -> None:
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as packed:
        for uri, name in _databases(tracking):
            path, made = file_of(uri), folder / f"copy-{name}"
            if path is None:
                _postgres("pg_dump", uri, "--format=custom", f"--file={made}")
            elif not is_absent(uri):
                _copied(path, made)
            if made.exists():
                packed.add(made, name)
                made.unlink()
        beside = [path for uri, _ in _databases(tracking) if (path := file_of(uri))]
        home = beside[-1].parent if beside else Path("runs")
        for place in (tracking.artifacts or home / FOLDER, home / SERVICE):
            if place.is_dir():
                packed.add(place, place.name)


def _copied(path: Path, to: Path) -> None:
    """Copy a database that others may write, as of one moment."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)


def _unpack(source: Path, to: Path) -> None:
    try:
        with tarfile.open(source) as packed:
            packed.extractall(to, filter="data")
    except (OSError, tarfile.TarError, EOFError) as error:
        said = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"restore: {source}: no whole backup: {said}") from None


def _postgres(command: str, uri: str, *options: str) -> None:
    """Call a program of PostgreSQL, whose password nobody sees among the processes."""
    url = make_url(uri)
    plain = url.set(drivername="postgresql", password=None).render_as_string()
    own = {"PGPASSWORD": str(url.password)} if url.password else {}
    words: Sequence[str] = [command, f"--dbname={plain}", *options]
    try:
        made = subprocess.run(
            words, env=os.environ | own, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise StoreError(f"{command} is not installed; it comes with PostgreSQL's client") from None
    if made.returncode:
        raise StoreError(f"{command} {redact(plain)}: {redact(made.stderr.strip())[:300]}")


def _let_go(tracking: Tracking) -> None:
    """Have nobody work on what somebody worked on when the copy was made."""
    let_go(tracking.queue)
    submissions = Submissions(service_uri(tracking.queue))
    with submissions.engine.connect() as connection:
        held = connection.execute(select(STUDIES).where(STUDIES.c.runner != "")).all()
    for row in held:
        submissions.end(row.id, row.fence, STOPPED, "restored from a backup")
