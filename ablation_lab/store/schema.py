"""Whether a database has the tables of this MLflow, known without importing it.

MLflow says so itself when it opens a store, but that is seconds later, after workers have started.
A database names its revision; MLflow's migrations name each the revision that it follows.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from ablation_lab.errors import StoreError, redact

TABLE = "alembic_version"
MIGRATIONS = Path("store", "db_migrations", "versions")
REVISION = re.compile(r"^revision\s*=\s*[\"'](\w+)[\"']", re.MULTILINE)
FOLLOWED = re.compile(r"^down_revision\s*=\s*[\"'](\w+)[\"']", re.MULTILINE)


def refuse_older(connection: Connection, uri: str) -> None:
    """Refuse a store whose tables are those of another MLflow; one without tables gets them.

    Errors: ``StoreError``.
    """
    if not inspect(connection).has_table(TABLE):
        return
    found = connection.execute(text(f"SELECT version_num FROM {TABLE}")).scalar()
    if newest() and found != newest():
        raise StoreError(f"store {redact(uri)}: {older(uri)}")


def older(uri: str) -> str:
    """Say what is wrong with such a store, and what to do."""
    advice = f"back it up, then run `mlflow db upgrade {redact(uri)}`"
    return f"its schema is not the one of this MLflow; if it is older, {advice}"


@cache
def newest() -> str:
    """Return the revision that no other follows; '' where it is not to be found."""
    spec = find_spec("mlflow")
    if spec is None or spec.origin is None:
        return ""
    files = (Path(spec.origin).parent / MIGRATIONS).glob("*.py")
    texts = [path.read_text(encoding="utf-8") for path in files]
    known = {name for each in texts for name in REVISION.findall(each)}
    last = known - {name for each in texts for name in FOLLOWED.findall(each)}
    return last.pop() if len(last) == 1 else ""
