"""What was changed and what was refused: one table that is only added to.

Comes in: who asked for what, and how it was answered. Goes out: rows, of which the database itself
changes and deletes none.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from sqlalchemy import Column, Connection, Float, Integer, String, Table, event, insert, select

from ablation_lab.errors import redact
from ablation_lab.service.tables import META, opened

LONGEST = 300  # letters of what was asked for
AUDIT = Table(
    "ablation_audit",
    META,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("time", Float, nullable=False),
    Column("user", String(100), nullable=False),
    Column("client", String(100), nullable=False),
    Column("asked", String(LONGEST), nullable=False),
    Column("status", Integer, nullable=False),
    sqlite_autoincrement=True,
)
ONLY_ADDED = {
    "sqlite": "CREATE TRIGGER {0} BEFORE {1} ON ablation_audit "
    "BEGIN SELECT RAISE(ABORT, 'an audit log is only added to'); END",
    "postgresql": "CREATE RULE {0} AS ON {1} TO ablation_audit DO INSTEAD NOTHING",
}


def _only_added_to(_: Table, connection: Connection, **known: Any) -> None:
    for what in ("UPDATE", "DELETE"):
        if said := ONLY_ADDED.get(connection.dialect.name):
            connection.exec_driver_sql(said.format(f"ablation_audit_{what.lower()}", what))


event.listen(AUDIT, "after_create", _only_added_to)


@dataclass(frozen=True)
class Entry:
    """One thing that was asked for, and the status of its answer (HTTP's)."""

    user: str
    client: str
    asked: str
    status: int


class Audit:
    """The log of a database. Errors: ``StoreError``."""

    def __init__(self, uri: str) -> None:
        """Open the database; it is created where it does not exist."""
        self._engine = opened(uri)

    def add(self, entry: Entry) -> None:
        """Keep an entry, without secrets."""
        said = {"time": time.time(), **vars(entry), "asked": redact(entry.asked)[:LONGEST]}
        with self._engine.begin() as connection:
            connection.execute(insert(AUDIT).values(said))

    def entries(self, after: int = 0, *, most: int = 1000) -> list[dict[str, Any]]:
        """Return what is behind a number, in order."""
        wanted = select(AUDIT).where(AUDIT.c.number > after).order_by(AUDIT.c.number).limit(most)
        with self._engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(wanted)]


def auditing(audit: Audit) -> APIRouter:
    """Return what shows the log."""
    router = APIRouter(prefix="/api/v1", tags=["audit"])

    @router.get("/audit")
    async def entries(
        after: Annotated[int, Query(ge=0)] = 0, limit: Annotated[int, Query(ge=1, le=1000)] = 1000
    ) -> JSONResponse:
        """Return what was changed and what was refused, behind a number."""
        return JSONResponse(await asyncio.to_thread(audit.entries, after, most=limit))

    return router
