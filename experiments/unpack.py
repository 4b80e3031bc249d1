"""``python -m experiments.unpack PROFILE``: a committed store, unpacked to be reported again.

Comes in: the name of a profile. Goes out: ``runs/results-PROFILE/mlflow.db``, whose files lie
beside it, and printed for ``study=[...]`` the studies of which it has runs. What is unpacked stays.
"""

from __future__ import annotations

import lzma
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

COMMITTED = Path("docs", "results")
UNPACKED = Path("runs")
NAMES = """
    SELECT DISTINCT experiments.name FROM experiments JOIN runs USING (experiment_id)
    WHERE experiments.name LIKE '%.replicates' ORDER BY experiments.name
"""


def unpack(profile: str, *, committed: Path = COMMITTED, unpacked: Path = UNPACKED) -> list[str]:
    """Unpack the store of a profile where that is not done yet; return the names of its studies.

    Errors: ``FileNotFoundError`` where no store of the profile is committed.
    """
    store = unpacked / f"results-{profile}" / "mlflow.db"
    if not store.exists():
        with lzma.open(committed / profile / "mlflow.db.xz") as packed:
            store.parent.mkdir(parents=True, exist_ok=True)
            part = store.with_suffix(".part")
            with part.open("wb") as file:
                shutil.copyfileobj(packed, file)
        _keep_files_beside(part)
        part.rename(store)
    with closing(sqlite3.connect(store)) as database:
        return [name.removesuffix(".replicates") for (name,) in database.execute(NAMES)]


def _keep_files_beside(store: Path) -> None:
    """Have MLflow write files beside this store, and not beside the one that it is a copy of."""
    place = (store.parent / "artifacts").resolve().as_uri()
    with closing(sqlite3.connect(store)) as database, database:
        for table, column, kept in (
            ("experiments", "artifact_location", "name"),
            ("runs", "artifact_uri", "run_uuid"),
        ):
            database.execute(f"UPDATE {table} SET {column} = ? || '/' || {kept}", (place,))


def main() -> int:
    """Print the studies of the unpacked store; exit status 2 where there is none to unpack."""
    try:
        names = unpack(sys.argv[1])
    except FileNotFoundError as error:
        print(f"error: no {error.filename}; no store of this profile is kept", file=sys.stderr)  # noqa: T201
        return 2
    print(",".join(names))  # noqa: T201 - what the caller asks for
    return 0


if __name__ == "__main__":
    sys.exit(main())
