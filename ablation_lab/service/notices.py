"""Telling others: a webhook or a command when a study ends or fails, or a contrast is decided.

Comes in: the events of the store, and hooks that the project declares. Goes out: what was told,
each thing once to each hook that says that it heard: what is to be told is kept with the event up
to which was looked, in one transaction, so that no restart loses or doubles any. A hook that heard,
but died before it said so, is told again, under the same id.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Float, Integer, Row, String, Table, Text, insert, select, update
from sqlalchemy.exc import IntegrityError

from ablation_lab.errors import redact
from ablation_lab.service.hooks import Happening, Hook
from ablation_lab.service.state import OVER, Event, Kind, State
from ablation_lab.service.submissions import Submissions
from ablation_lab.service.tables import META

TURN = 2.0  # seconds between two looks
FIRST, MOST_TRIES = 5.0, 12  # seconds until the second try, twice as long each time; tries
HELD = 300.0  # seconds that one service has to tell something, before another one may
NOTICES = Table(
    "ablation_notices",
    META,
    Column("id", String(64), primary_key=True),
    Column("hook", String(64), nullable=False),
    Column("content", Text, nullable=False),
    Column("state", String(16), nullable=False),  # waiting, told, given up
    Column("tries", Integer, nullable=False),
    Column("due", Float, nullable=False),
    Column("said", String(300), nullable=False),
)
FOLLOWED = Table(
    "ablation_followed",
    META,
    Column("who", String(16), primary_key=True),
    Column("number", Integer, nullable=False),
)
Decided = Callable[[str], Sequence[Mapping[str, Any]]]  # the decided contrasts of a study


@dataclass(frozen=True)
class Notice:
    """What is to be told, by the name of which it is told once."""

    name: str
    happening: Happening
    content: Mapping[str, Any]


class Notifier:
    """Tells hooks what happens to the studies of a database."""

    def __init__(self, submissions: Submissions, hooks: Sequence[Hook], decided: Decided) -> None:
        """Begin behind the newest event, where nobody told of any yet."""
        self._submissions, self._decided = submissions, decided
        self._hooks = {hook.id: hook for hook in hooks}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        first = insert(FOLLOWED).values(who="hooks", number=submissions.last_event())
        with suppress(IntegrityError), submissions.engine.begin() as connection:
            connection.execute(first)

    def start(self) -> None:
        """Begin to tell, in a thread, where there is anybody to be told."""
        if self._hooks:
            self._thread.start()

    def stop(self) -> None:
        """Tell no more; what waits is told by who comes next."""
        self._stopped.set()

    def _work(self) -> None:
        while not self._stopped.wait(TURN):
            try:
                self.collect()
                self.tell()
            except Exception as error:  # a database that is away comes back
                print(f"notices: {redact(str(error))[:300]}", file=sys.stderr)  # noqa: T201

    def collect(self) -> None:
        """Keep what is to be told of the events since the last time."""
        with self._submissions.engine.connect() as connection:
            after = connection.execute(select(FOLLOWED.c.number)).scalar_one()
        while events := self._submissions.events(after):
            notices = list(self._notices(events))
            with self._submissions.engine.begin() as connection:
                for row in self._rows(notices):
                    known = select(NOTICES.c.id).where(NOTICES.c.id == row["id"])
                    if connection.execute(known).first() is None:
                        connection.execute(insert(NOTICES).values(row))
                connection.execute(update(FOLLOWED).values(number=events[-1].number))
            after = events[-1].number

    def tell(self) -> None:
        """Tell each hook what is due; what it does not hear waits, longer each time."""
        waiting = select(NOTICES).where(NOTICES.c.state == "waiting", NOTICES.c.due <= time.time())
        with self._submissions.engine.connect() as connection:
            rows = connection.execute(waiting.order_by(NOTICES.c.due)).all()
        for row in rows:
            hook = self._hooks.get(row.hook)
            if hook and not self._stopped.is_set() and self._take(row):
                self._told(row, hook.tell(row.id, row.content))

    def _take(self, row: Row[Any]) -> bool:
        mine = update(NOTICES).where(NOTICES.c.id == row.id, NOTICES.c.tries == row.tries)
        with self._submissions.engine.begin() as connection:
            taken = mine.values(tries=row.tries + 1, due=time.time() + HELD)
            return connection.execute(taken).rowcount > 0

    def _told(self, row: Row[Any], wrong: str) -> None:
        """Keep how it went; ``wrong`` says why a hook has not heard."""
        last = row.tries + 1 >= MOST_TRIES
        state = "told" if not wrong else "given up" if last else "waiting"
        values = {"state": state, "said": redact(wrong)[:300]}
        due = time.time() + FIRST * 2**row.tries
        with self._submissions.engine.begin() as connection:
            mine = update(NOTICES).where(NOTICES.c.id == row.id)
            connection.execute(mine.values(due=due, **values))
        if wrong:
            print(f"notices: {values['said']}; {state}", file=sys.stderr)  # noqa: T201

    def _rows(self, notices: Iterable[Notice]) -> Iterator[dict[str, Any]]:
        for notice in notices:
            for hook in self._hooks.values():
                if notice.happening in hook.events:
                    name = hashlib.sha256(f"{hook.id} {notice.name}".encode()).hexdigest()
                    known = {"event": notice.happening, **notice.content}
                    yield {
                        "id": name, "hook": hook.id, "content": json.dumps(known, sort_keys=True),
                        "state": "waiting", "tries": 0, "due": time.time(), "said": "",
                    }  # fmt: skip

    def _notices(self, events: Sequence[Event]) -> Iterator[Notice]:
        touched = dict.fromkeys(event.study for event in events if _may_decide(event))
        for study in touched:
            for contrast in self._decided(study):
                name = f"{study} {contrast['first']} {contrast['second']} {contrast['metric']}"
                yield Notice(name, Happening.DECIDED, {**self._head(study), "contrast": contrast})
        for event in events:
            if event.kind is Kind.STATE and event.content["state"] in OVER:
                failed = event.content["state"] == State.FAILED
                happening = Happening.FAILED if failed else Happening.ENDED
                told = {**self._head(event.study), **event.content, "time": event.time}
                yield Notice(f"event {event.number}", happening, told)

    def _head(self, study: str) -> dict[str, Any]:
        head = self._submissions.head(study)
        return {"id": study, "study": head.study, "profile": head.profile, "user": head.user}


def _may_decide(event: Event) -> bool:
    return event.kind in (Kind.RUNS, Kind.PLAN)
