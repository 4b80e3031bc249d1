"""The live page: cards of all studies, and of each one the grid as it fills.

Comes in: a lab. Goes out: routes that answer with Jinja's fragments. A page listens to one stream
of events; the script draws runs as they come, and asks for the words anew, which are made once for
all who look.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse
from jinja2 import Environment, PackageLoader

from ablation_lab.errors import redact
from ablation_lab.service.api import ROOT, Lab
from ablation_lab.service.state import GOING, OVER, State, StudyState
from ablation_lab.service.view import PAGE, View, cost_so_far, view_of
from ablation_lab.statistics.intervals import Interval
from ablation_lab.store.pages import Link, Server

Made = Callable[[], Awaitable[str]]
MLFLOW = "/mlflow"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
FILES = {"live.js": "text/javascript", "live.css": "text/css"}
MOST_KEPT = 64  # fragments
SELDOM = 10.0  # seconds between two looks at what a study cost
SHOWN = 100  # studies, and lines of the log


def pages(lab: Lab, ready: Callable[[], bool]) -> APIRouter:
    """Return the pages of a lab; ``ready`` says whether MLflow has been loaded."""
    router, words = APIRouter(include_in_schema=False), Words(lab)

    @router.get("/")
    async def start() -> HTMLResponse:
        stored = await asyncio.to_thread(links, lab.store, MLFLOW) if ready() else {}
        shown = {"cards": await words.cards(), "stored": stored, "store": redact(lab.store)}
        return _page("start.html.j2", **shown)

    @router.get("/cards")
    async def cards() -> HTMLResponse:
        return HTMLResponse(await words.cards(), headers=HEADERS)

    @router.get("/studies/{study}")
    async def one(study: str) -> HTMLResponse:
        state = (await lab.hub.fold(study)).state
        return _page("study.html.j2", study=state, words=await words.of(study, 0))

    @router.get("/studies/{study}/words")
    async def fragment(study: str, first: int = 0) -> HTMLResponse:
        return HTMLResponse(await words.of(study, max(0, first)), headers=HEADERS)

    @router.get("/live/{name}")
    async def file(name: str) -> FileResponse:
        kind = FILES.get(name)
        path = Path(__file__).parent / "templates" / (name if kind else "live.css")
        return FileResponse(path, 200 if kind else 404, HEADERS, media_type=kind)

    return router


def links(store: str, base: str) -> dict[str, tuple[Link, ...]]:
    """Return for each study of a store its table, its charts and its compare page in MLflow."""
    from ablation_lab.store.publish import Publisher

    publisher, server = Publisher(store), Server(base)
    return {
        f"{study} ({profile})": server.study(
            experiment, publisher.cell_runs(study, profile), profile
        )
        for study, profile, experiment in publisher.views()
    }


class Words:
    """The fragments of pages, each made once for an event however many look."""

    def __init__(self, lab: Lab) -> None:
        """Make fragments of a lab's studies."""
        self._lab = lab
        self._made: OrderedDict[tuple[str, int], tuple[int, str]] = OrderedDict()
        self._costs: dict[str, tuple[float, bool, str]] = {}
        self._making = asyncio.Lock()

    async def cards(self) -> str:
        """Return the cards of the newest studies."""
        newest = await asyncio.to_thread(self._lab.submissions.last_event)
        return await self._once(("", 0), newest, self._cards)

    async def _cards(self) -> str:
        heads = await asyncio.to_thread(self._lab.submissions.heads)
        heads.sort(key=lambda head: -head.submitted)
        studies = [await self._lab.hub.brief(head) for head in heads[:SHOWN]]
        return _rendered("cards.html.j2", studies=studies)

    async def of(self, study: str, first: int) -> str:
        """Return what is said of a study, with its cells from one on."""
        state = (await self._lab.hub.fold(study)).state

        async def make() -> str:
            row = await asyncio.to_thread(self._lab.submissions.row, study)
            view = await asyncio.to_thread(view_of, state, row.text, first=first)
            return _said(state, view, first, await self._cost(state, row.text, view))

        return await self._once((study, first), state.last_event, make)

    async def _cost(self, state: StudyState, text: str, view: View) -> str:
        """Return what a study cost, asked of the store once in a while, and at its end."""
        since, over, cost = self._costs.get(state.id, (-math.inf, False, ""))
        ends = state.state not in GOING
        if time.monotonic() - since > SELDOM or (ends and not over):
            made = (self._lab.store, state, text, view.comparisons)
            cost = await asyncio.to_thread(cost_so_far, *made)
            self._costs[state.id] = time.monotonic(), ends, cost
        return cost

    async def _once(
        self, name: tuple[str, int], event: int, make: Callable[[], Awaitable[str]]
    ) -> str:
        async with self._making:
            known = self._made.get(name)
            if known is None or known[0] != event:
                self._made[name] = known = event, await make()
            self._made.move_to_end(name)
            while len(self._made) > MOST_KEPT:
                self._made.popitem(last=False)
        return known[1]


def _said(state: StudyState, view: View, first: int, cost: str) -> str:
    return _rendered(
        "words.html.j2",
        study=state,
        view=view,
        first=first,
        cost=cost,
        page=PAGE,
        api=f"{ROOT}/studies/{state.id}",
        wishes=wishes(state),
        log=state.log[-SHOWN:],
    )


def wishes(state: StudyState) -> dict[str, str]:
    """Return what may be asked of a study now: the wish, and what its button says."""
    found = {}
    if state.state in (*GOING, State.QUEUED):
        found["pause"] = "Pause"
    if state.state in (State.PAUSED, State.PAUSING):
        found["resume"] = "Resume"
    if state.state in (State.FAILED, State.CANCELLED):
        found["resume"] = "Retry failed" if state.progress.failed else "Resume"
    if state.state not in OVER:
        found["cancel"] = "Cancel"
    return found


def _page(name: str, **shown: Any) -> HTMLResponse:
    return HTMLResponse(_rendered(name, api=ROOT, **shown), headers=HEADERS)


def duration(seconds: float | None) -> str:
    """Return seconds as a person reads them."""
    if seconds is None:
        return "–"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def number(value: float | None) -> str:
    """Return a number as a table has it, – for none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.4g}"


def interval(found: Interval) -> str:
    """Return the ends of an interval, – where it has none."""
    both = math.isfinite(found.low) and math.isfinite(found.high)
    return f"{number(found.low)} to {number(found.high)}" if both else "–"


@cache
def _environment() -> Environment:
    made = Environment(loader=PackageLoader("ablation_lab.service"), autoescape=True)
    made.filters |= {"duration": duration, "number": number, "interval": interval}
    return made


def _rendered(name: str, **shown: Any) -> str:
    return str(_environment().get_template(name).render(shown))
