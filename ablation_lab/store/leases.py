"""Leases: which runner works on which cell. One table beside Optuna's, of any database.

A lease is the random token of its holder, a fence that grows whenever it is taken, and a beat that
grows while the holder lives. No clock of another machine is read: a lease whose beat has stood
still for `EXPIRY` seconds of one's own clock is dead, and so, at once, is one of a process that is
known to have ended. A result is written under the lock under which cells are taken, and only by
the holder: who was taken for dead and comes back writes nothing.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    bindparam,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from ablation_lab.store import process
from ablation_lab.store.connect import alone, engine_of, is_absent

# Seconds without a beat after which a lease is dead, and between the beats of a live one.
EXPIRY, BEAT = 90.0, 15.0
AT_ONCE = 500  # names in one query
NOBODY = ""

LEASES = Table(
    "ablation_leases",
    MetaData(),
    Column("name", String(64), primary_key=True),  # digest of queue and cell
    Column("token", String(32), nullable=False),  # of the holder, or NOBODY
    Column("holder", String(250), nullable=False),
    Column("fence", Integer, nullable=False),
    Column("beat", Integer, nullable=False),
)


@dataclass(frozen=True)
class Taken:
    """Cells that are ours now; ``known`` says whether anybody ever held one of them before."""

    cells: frozenset[str]
    known: bool


@contextmanager
def locked(uri: str) -> Iterator[None]:
    """Let nobody else take cells of any queue at ``uri``, or write results of them.

    A lock for each study would be held with others: results that come together are of several.
    """
    with alone(uri, "lease", patience=2 * EXPIRY):
        yield


class Leases:
    """The leases that this runner holds of the cells of the queue ``name``.

    ``engine`` is that of the open database at ``uri``. ``token`` is that of a runner who is gone,
    for whoever sends what it left.
    """

    def __init__(self, uri: str, name: str, engine: Engine, token: str = "") -> None:
        self._name, self._engine = name, engine
        self.token, self._holder = token or uuid.uuid4().hex, process.identity()
        # What was seen of the leases of others: fence and beat, and since when they stand still.
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}
        with locked(uri):
            LEASES.create(engine, checkfirst=True)

    def take(self, cells: Collection[str]) -> Taken:
        """Take the cells that nobody holds, or whose holder is dead. Within `locked`."""
        names = {self._digest(cell): cell for cell in cells}
        with self._engine.begin() as connection:
            found = {row.name: row for row in _rows(connection, list(names))}
            free = [name for name in names if name not in found or self._is_free(found[name])]
            again = [name for name in free if name in found]
            absent = [name for name in names if name not in found]
            new = [{"name": name, "fence": 1, "beat": 0} | self._mine for name in absent]
            if new:
                connection.execute(insert(LEASES), new)
            if again:
                taken = update(LEASES).where(LEASES.c.name == bindparam("which"))
                taken = taken.values(fence=LEASES.c.fence + 1, beat=0, **self._mine)
                connection.execute(taken, [{"which": name} for name in again])
        return Taken(frozenset(names[name] for name in free), bool(again))

    def renew(self) -> None:
        """Tell others that this runner lives; a thread of its own may do so."""
        with self._engine.begin() as connection:
            ours = LEASES.c.token == self.token
            connection.execute(update(LEASES).where(ours).values(beat=LEASES.c.beat + 1))

    def held(self, cells: Collection[str]) -> frozenset[str]:
        """Return those of the cells that are still ours. Within `locked`."""
        names = {self._digest(cell): cell for cell in cells}
        with self._engine.connect() as connection:
            rows = _rows(connection, list(names))
            return frozenset(names[row.name] for row in rows if row.token == self.token)

    def free(self, cells: Collection[str]) -> None:
        """Give cells back that are ours."""
        ours = update(LEASES).where(
            LEASES.c.name == bindparam("which"), LEASES.c.token == self.token
        )
        if cells:
            with self._engine.begin() as connection:
                names = [{"which": self._digest(cell)} for cell in cells]
                connection.execute(ours.values(token=NOBODY), names)

    @property
    def _mine(self) -> dict[str, str]:
        return {"token": self.token, "holder": self._holder}

    def _digest(self, cell: str) -> str:
        return hashlib.sha256(f"{self._name}\n{cell}".encode()).hexdigest()

    def _is_free(self, row: Row[tuple[str, str, str, int, int]]) -> bool:
        if row.token in (NOBODY, self.token) or process.is_gone(row.holder):
            return True
        now, state = time.monotonic(), (row.fence, row.beat)
        last, since = self._seen.get(row.name, (None, now))
        if last != state:
            self._seen[row.name] = state, now
            return False
        return now - since >= EXPIRY


def any_left(uri: str) -> bool:
    """Whether the queue at ``uri`` has cells that somebody holds, or held when it was killed.

    One that cannot be asked is not: nothing waits for the answer.
    """
    if is_absent(uri):
        return False
    held = select(LEASES.c.name).where(LEASES.c.token != NOBODY).limit(1)
    with suppress(SQLAlchemyError), engine_of(uri) as engine, engine.connect() as connection:
        known = inspect(connection).has_table(LEASES.name)
        return known and connection.execute(held).first() is not None
    return False


def let_go(uri: str) -> None:
    """Have nobody hold a cell of a queue that was copied: no holder ever writes there."""
    if is_absent(uri):
        return
    with engine_of(uri) as engine, engine.begin() as connection:
        if inspect(connection).has_table(LEASES.name):
            connection.execute(update(LEASES).values(token=NOBODY))


def _rows(
    connection: Connection, names: Sequence[str]
) -> list[Row[tuple[str, str, str, int, int]]]:
    parts = [names[start : start + AT_ONCE] for start in range(0, len(names), AT_ONCE)]
    queries = (select(LEASES).where(LEASES.c.name.in_(part)) for part in parts)
    return [row for query in queries for row in connection.execute(query)]
