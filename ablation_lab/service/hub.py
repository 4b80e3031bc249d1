"""What happens to submitted studies, as it happens: read once, told to everybody who listens.

Comes in: the events of the store. Goes out: the state of every study, and a stream for each
listener.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from ablation_lab.output import warn
from ablation_lab.service.fold import Fold
from ablation_lab.service.state import Event, StudyState
from ablation_lab.service.submissions import AT_ONCE, Submissions

LOOK = 0.2  # seconds between two looks at the store
SILENCE = 15.0  # seconds after which a listener is told that nothing happened
MOST_FOLDED = 200  # studies whose state is kept at hand
MOST_BEHIND = 5_000  # events that a listener may be behind, until it has to come again


class Hub:
    """The states of studies, and who listens."""

    def __init__(self, submissions: Submissions) -> None:
        """Follow what happens to these studies."""
        self.submissions = submissions
        self._folds: OrderedDict[str, Fold] = OrderedDict()
        self._listeners: dict[asyncio.Queue[Event | None], str] = {}
        self._last = submissions.last_event()
        self._looking = asyncio.Lock()

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    async def follow(self) -> None:
        """Look for events until it is cancelled."""
        while True:
            try:
                await self.look()
            except Exception as error:  # a database that is away comes back; listeners go on
                warn(f"events: {str(error)[:300]}")
            await asyncio.sleep(LOOK)

    async def look(self) -> None:
        """Take the events that came since the last look, and pass them on."""
        async with self._looking:
            while events := await asyncio.to_thread(self.submissions.events, self._last):
                for event in events:
                    self._pass_on(event)
                self._last = events[-1].number

    async def fold(self, study: str) -> Fold:
        """Return what is known of a study. Errors: ``UnknownStudy``."""
        if study not in self._folds:
            async with self._looking:
                self._folds[study] = await asyncio.to_thread(self._folded, study)
        self._folds.move_to_end(study)
        while len(self._folds) > MOST_FOLDED:
            self._folds.popitem(last=False)
        return self._folds[study]

    def _folded(self, study: str) -> Fold:
        """Fold what was told of a study; what the hub has still to pass on says nothing then."""
        fold = Fold(self.submissions.head(study))
        while events := self.submissions.events(fold.brief.last_event, study):
            fold.take(events)
        return fold

    async def brief(self, head: StudyState) -> StudyState:
        """Return what is known of a study whose row was read, without its cells."""
        brief = (await self.fold(head.id)).brief
        return replace(brief, priority=head.priority, runner=head.runner)

    def end(self) -> None:
        """Have every stream end."""
        for queue in self._listeners:
            queue.put_nowait(None)

    async def stream(self, study: str, after: int) -> AsyncIterator[bytes]:
        """Yield every event behind a number, of one study or of all, as it comes."""
        async with self._listening(study) as queue:
            while events := await asyncio.to_thread(self.submissions.events, after, study):
                for event in events:
                    yield encoded(event)
                after = events[-1].number
                if len(events) < AT_ONCE:
                    break
            while True:
                try:
                    came = await asyncio.wait_for(queue.get(), SILENCE)
                except TimeoutError:
                    yield b": nothing happened\n\n"
                    continue
                if came is None:
                    return
                if came.number > after:
                    yield encoded(came)

    @asynccontextmanager
    async def _listening(self, study: str) -> AsyncIterator[asyncio.Queue[Event | None]]:
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._listeners[queue] = study
        try:
            yield queue
        finally:
            self._listeners.pop(queue, None)

    def _pass_on(self, event: Event) -> None:
        if fold := self._folds.get(event.study):
            fold.take([event])
        for queue, study in self._listeners.items():
            if study in ("", event.study):
                # Who is too slow comes again, with the number of the last event that it has seen.
                queue.put_nowait(event if queue.qsize() < MOST_BEHIND else None)


def encoded(event: Event) -> bytes:
    """Return an event as a server-sent one."""
    data = json.dumps({"study": event.study, "time": event.time, **event.content})
    return f"id: {event.number}\nevent: {event.kind}\ndata: {data}\n\n".encode()
