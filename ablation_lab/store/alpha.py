"""What proposals were asked of a gate, and answered: one table beside the leases, only added to.

A row tells of one event: a proposal was entered with a level of its own, or it was accepted or
rejected. Its seal is the hash of all that it says and of the seal before it, so that a row that is
changed, taken out or put in breaks the chain.
"""

from __future__ import annotations

import getpass
import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, Integer, MetaData, String, Table, Text, insert, select

from ablation_lab.errors import StoreError, redact
from ablation_lab.store import process
from ablation_lab.store.connect import alone
from ablation_lab.store.trials import open_storage

EVENTS = Table(
    "ablation_alpha",
    MetaData(),
    Column("ledger", String(100), primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("proposal", String(64), nullable=False),
    Column("event", String(16), nullable=False),
    Column("told", Text, nullable=False),  # JSON
    Column("at", String(32), nullable=False),
    Column("who", String(250), nullable=False),
    Column("seal", String(64), nullable=False),
)


@dataclass(frozen=True)
class Event:
    """One row: what was told (of a proposal, or its answer), when, and by whom."""

    ledger: str
    sequence: int
    proposal: str
    event: str
    told: Mapping[str, Any]
    at: str = ""
    who: str = ""
    seal: str = ""

    def sealed(self, before: str) -> Event:
        """The event with the seal that follows another one."""
        content = [before, *list(asdict(self).values())[:-1]]
        text = json.dumps(content, sort_keys=True)
        return replace(self, seal=hashlib.sha256(text.encode()).hexdigest())


class AlphaLedger:
    """The events of one ledger, in the database of the queue at ``uri``."""

    def __init__(self, uri: str, name: str) -> None:
        self.name = name
        self._uri, self._engine = uri, open_storage(uri).engine
        with alone(uri, "alpha"):
            EVENTS.create(self._engine, checkfirst=True)

    def add(
        self,
        proposal: str,
        event: str,
        told: Callable[[tuple[Event, ...]], Mapping[str, Any]],
    ) -> Mapping[str, Any]:
        """Add an event of a proposal, which it has once; return what is told of it.

        ``told`` makes it of all events before, while nobody else adds any.
        Errors: ``StoreError`` where the chain of seals is broken.
        """
        with alone(self._uri, "alpha"):
            events = self.events()
            for known in events:
                if (known.proposal, known.event) == (proposal, event):
                    return known.told
            made = Event(self.name, len(events), proposal, event, told(events), _now(), _who())
            made = made.sealed(events[-1].seal if events else "")
            row = {**asdict(made), "told": json.dumps(made.told)}
            with self._engine.begin() as connection:
                connection.execute(insert(EVENTS), row)
        return made.told

    def events(self) -> tuple[Event, ...]:
        """All events so far, in order. Errors: ``StoreError`` where the chain is broken."""
        of_this = select(EVENTS).where(EVENTS.c.ledger == self.name).order_by(EVENTS.c.sequence)
        with self._engine.connect() as connection:
            rows = [row._asdict() for row in connection.execute(of_this)]
        events = tuple(Event(**{**row, "told": json.loads(row["told"])}) for row in rows)
        seal = ""
        for number, event in enumerate(events):
            if event.sequence != number or event.sealed(seal) != event:
                raise StoreError(
                    f"queue {redact(self._uri)}: ledger {self.name!r}: entry {number} is not as it "
                    "was written, so no level can be trusted; begin another --alpha-ledger"
                )
            seal = event.seal
        return events


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _who() -> str:
    """Return user@host:pid; a container may have no name for its user."""
    user = "unknown"
    with suppress(OSError, KeyError):
        user = getpass.getuser()
    return f"{user}@{process.name()}"
