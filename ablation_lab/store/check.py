"""Whether an address can be that of a store, before MLflow opens it.

In: the address. Out: nothing, or one line on what is wrong.
"""

from __future__ import annotations

from pathlib import Path

from ablation_lab.errors import StoreError

SQLITE = b"SQLite format 3\0"  # how every such file begins, but an empty one


def check_store(address: str) -> None:
    """Refuse a store that is no database or server, or an SQLite file that is not there or is none.

    MLflow would create a missing SQLite file, and try for minutes to open one that is no database.
    """
    if "://" not in address:
        raise StoreError(
            f"store {address!r} is no address; expected one such as sqlite:///runs/mlflow.db"
        )
    scheme, path = address.split("://", 1)
    if scheme != "sqlite":
        return
    file = Path(path[1:])
    if not file.is_file():
        raise StoreError(
            f"store {address}: no file {path[1:]!r}; run a study first, or fix the path"
        )
    with file.open("rb") as opened:
        if opened.read(len(SQLITE)) not in (SQLITE, b""):
            raise StoreError(f"store {address} cannot be read: the file is no SQLite database")
