"""The queue of submitted studies: two tables beside the queue of cells, of any database.

A study is a row: its declaration, its state, and who carries it out. All that happens to it is an
event, with a number that grows; the state of a row and the event that tells of it are written in
one transaction, so that a process may be killed at any moment. A row changes only as it was read:
of two who change it at once one reads it again. Whether a process still works on a study is never
believed: it renews its row, and is known to have ended where that can be looked up.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Row,
    Select,
    case,
    delete,
    func,
    insert,
    select,
    update,
)

from ablation_lab.errors import ConfigurationError
from ablation_lab.service.state import Event, Kind, State, StudyState, Wish, after, at_end
from ablation_lab.service.tables import EVENTS, STUDIES, opened
from ablation_lab.store import process
from ablation_lab.store.connect import alone

BEAT, EXPIRY = 2.0, 40.0  # seconds between two signs of life, and without one until it is over
MOST_QUEUED = 5_000
AT_ONCE = 500  # events in one answer
LATCH = 0x61626C6E  # of PostgreSQL: numbers of events become visible in their order
StudyRow = Row[Any]


class UnknownStudy(ConfigurationError):
    """A study was asked for that nobody submitted."""


class QueueFull(ConfigurationError):
    """More studies wait than a queue holds."""


@dataclass(frozen=True)
class Submission:
    """A study to be carried out: the text of its file, and the profile under which."""

    id: str
    study: str
    profile: str
    text: str
    user: str = ""
    priority: int = 0


class Submissions:
    """The submitted studies at an address, which has the tables from now on.

    Errors: ``StoreError``.
    """

    def __init__(self, uri: str) -> None:
        """Open the database; it is created where it does not exist."""
        self.uri = uri
        self.engine: Engine = opened(uri)
        # What was seen of the runners of other machines: fence and beat, and since when.
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}

    def submit(self, submission: Submission) -> tuple[StudyState, bool]:
        """Queue a study; return it, and whether it is new. Errors: ``QueueFull``."""
        with alone(self.uri, "service"), self.engine.begin() as connection:
            if row := _row(connection, submission.id):
                return head_of(row), False
            waiting = select(func.count()).where(STUDIES.c.state == State.QUEUED)
            if connection.execute(waiting).scalar_one() >= MOST_QUEUED:
                raise QueueFull(f"{MOST_QUEUED:,} studies wait already; submit it later")
            values = {"submitted": time.time(), "state": State.QUEUED, **vars(submission)}
            connection.execute(insert(STUDIES).values(values))
            _tell(connection, submission.id, Kind.STATE, _said(State.QUEUED, "submitted"))
        return self.head(submission.id), True

    def heads(self) -> list[StudyState]:
        """Return every study as it was submitted, the first one first."""
        with self.engine.connect() as connection:
            return [head_of(row) for row in connection.execute(_in_order(select(STUDIES)))]

    def head(self, name: str) -> StudyState:
        """Return a study as it was submitted. Errors: ``UnknownStudy``."""
        return head_of(self.row(name))

    def row(self, name: str) -> StudyRow:
        """Return the row of a study. Errors: ``UnknownStudy``."""
        with self.engine.connect() as connection:
            if row := _row(connection, name):
                return row
        raise UnknownStudy(f"no study {name!r} was submitted here")

    def events(self, after: int = 0, study: str = "", *, most: int = AT_ONCE) -> list[Event]:
        """Return the events behind a number, of one study or of all."""
        wanted = select(EVENTS).where(EVENTS.c.number > after)
        if study:
            wanted = wanted.where(EVENTS.c.study == study)
        with self.engine.connect() as connection:
            rows = connection.execute(wanted.order_by(EVENTS.c.number).limit(most)).all()
        return [
            Event(row.number, row.study, row.time, Kind(row.kind), json.loads(row.content))
            for row in rows
        ]

    def last_event(self) -> int:
        """Return the number of the newest event, 0 where there is none."""
        with self.engine.connect() as connection:
            return connection.execute(select(func.max(EVENTS.c.number))).scalar() or 0

    def counts(self) -> dict[str, int]:
        """Return how many studies are in each state."""
        counted = select(STUDIES.c.state, func.count()).group_by(STUDIES.c.state)
        with self.engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(counted)}

    def tell(self, study: str, kind: Kind, content: Mapping[str, Any]) -> None:
        """Keep an event; of what workers have in hand only the newest."""
        with self.engine.begin() as connection:
            if kind is Kind.WORK:
                old = delete(EVENTS).where(EVENTS.c.study == study, EVENTS.c.kind == kind)
                connection.execute(old)
            _tell(connection, study, kind, content)

    def wish(self, study: str, wish: Wish, reason: str = "asked for") -> StudyState:
        """Have a study do what is wished, if it does not already. Errors: ``NotNow``."""

        def change(row: StudyRow) -> dict[str, Any]:
            state = after(wish, State(row.state), carried_out=bool(row.runner))
            return {"state": state, "deaths": 0 if wish is Wish.RESUME else row.deaths}

        self._change(study, change, f"{wish} {reason}")
        return self.head(study)

    def prioritise(self, study: str, priority: int) -> StudyState:
        """Have a study wait before those of a lower priority."""
        self._change(study, lambda _: {"priority": priority}, "")
        return self.head(study)

    def take(self, pid: int | None = None) -> StudyRow | None:
        """Take the study that is next, for a process that waits for one; None without one."""
        free = select(STUDIES).where(STUDIES.c.state == State.QUEUED, STUDIES.c.runner == "")
        with self.engine.connect() as connection:
            row = connection.execute(_in_turn(free).limit(1)).first()
        if row is None:
            return None
        its = {"runner": process.identity(pid), "host": process.name(pid)}
        taken = {**its, "state": State.PLANNING, "fence": row.fence + 1, "beat": 0}
        taken["taken"] = time.time()
        return self.row(row.id) if self._write(row, taken, "a worker takes it") else None

    def renew(self, study: str, fence: int) -> State | None:
        """Give a sign of life; return what the study is to do, None for another process's."""
        beat = {"beat": STUDIES.c.beat + 1}
        return State(self.row(study).state) if self._of(study, fence, beat) else None

    def running(self, study: str, fence: int) -> None:
        """Say that a study that was planned is trained from now on."""
        row = self.row(study)
        if row.fence == fence and row.state == State.PLANNING:
            self._write(row, {"state": State.RUNNING}, "its runs train")

    def progressed(self, study: str, fence: int) -> None:
        """Say that runs came of a study, so that a process that died before is no matter."""
        self._of(study, fence, {"deaths": 0})

    def end(self, study: str, fence: int, status: int | None, reason: str) -> None:
        """Say how the process of a study ended; ``status`` is None where nobody knows."""

        def change(row: StudyRow) -> dict[str, Any] | None:
            if row.fence != fence or not row.runner:
                return None
            deaths = row.deaths + (status is None)
            state = at_end(State(row.state), status, deaths=deaths)
            return {"state": state, "runner": "", "host": "", "deaths": deaths}

        self._change(study, change, reason)

    def bury(self) -> None:
        """Have the studies go on whose processes were killed."""
        held = select(STUDIES).where(STUDIES.c.runner != "")
        with self.engine.connect() as connection:
            rows = connection.execute(held).all()
        for row in filter(self._is_dead, rows):
            self.end(row.id, row.fence, None, f"its process on {row.host} was killed")

    def carried_out_here(self) -> int:
        """Return how many studies processes of this machine work on."""
        here = process.identity().partition("|")[0]
        with self.engine.connect() as connection:
            runners = connection.execute(select(STUDIES.c.runner)).scalars().all()
        return sum(runner.partition("|")[0] == here for runner in runners if runner)

    def _is_dead(self, row: StudyRow) -> bool:
        if process.is_gone(row.runner):
            return True
        now, sign = time.monotonic(), (row.fence, row.beat)
        last, since = self._seen.get(row.id, (None, now))
        if last != sign:
            self._seen[row.id] = sign, now
            return False
        return now - since >= EXPIRY

    def _of(self, study: str, fence: int, values: Mapping[str, Any]) -> bool:
        """Change the row of a study while it is this fence's; return whether it is."""
        ours = update(STUDIES).where(STUDIES.c.id == study, STUDIES.c.fence == fence)
        with self.engine.begin() as connection:
            return (
                connection.execute(ours.where(STUDIES.c.runner != "").values(values)).rowcount > 0
            )

    def _change(
        self, study: str, change: Callable[[StudyRow], dict[str, Any] | None], reason: str
    ) -> None:
        """Change a row by what it is; read it again where another one changed it meanwhile."""
        while True:
            row = self.row(study)
            values = change(row)
            if values is None or self._write(row, values, reason):
                return

    def _write(self, row: StudyRow, values: Mapping[str, Any], reason: str) -> bool:
        """Write a row that is still as it was read; tell of its state if that changes."""
        same = update(STUDIES).where(
            STUDIES.c.id == row.id, STUDIES.c.state == row.state, STUDIES.c.fence == row.fence,
            STUDIES.c.runner == row.runner,
        )  # fmt: skip
        with self.engine.begin() as connection:
            if not connection.execute(same.values(values)).rowcount:
                return False
            state = State(values.get("state", row.state))
            if state != row.state:
                _tell(connection, row.id, Kind.STATE, _said(state, reason))
            return True


def head_of(row: StudyRow) -> StudyState:
    """Return what the row of a study says of it."""
    same = ("id", "study", "profile", "priority", "user", "submitted")
    known = {name: getattr(row, name) for name in same}
    return StudyState(**known, state=State(row.state), runner=row.host)


def _said(state: State, reason: str) -> dict[str, str]:
    return {"state": state, "reason": reason}


def _in_order(rows: Select[Any]) -> Select[Any]:
    return rows.order_by(STUDIES.c.priority.desc(), STUDIES.c.number)


def _in_turn(rows: Select[Any]) -> Select[Any]:
    """Order what waits: who has the least in work, then who waited longest, then as they ask."""
    working = func.sum(case((STUDIES.c.runner != "", 1), else_=0)).label("working")
    served = func.max(STUDIES.c.taken).label("served")
    share = select(STUDIES.c.user, working, served).group_by(STUDIES.c.user).subquery()
    joined = rows.join(share, share.c.user == STUDIES.c.user)
    return _in_order(joined.order_by(share.c.working, share.c.served))


def _row(connection: Connection, study: str) -> StudyRow | None:
    return connection.execute(select(STUDIES).where(STUDIES.c.id == study)).first()


def _tell(connection: Connection, study: str, kind: Kind, content: Mapping[str, Any]) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(LATCH)))
    values = {"study": study, "time": time.time(), "kind": kind, "content": json.dumps(content)}
    connection.execute(insert(EVENTS).values(values))
