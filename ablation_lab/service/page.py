"""The live page: cards of all studies, and of each one the grid as it fills.

Comes in: a lab. Goes out: routes that answer with Jinja's fragments. A page listens to one stream
of events; the script draws runs as they come, and asks for the words anew, which are made once for
all who look.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from pydantic import BaseModel, Field

from ablation_lab.errors import redact
from ablation_lab.service.api import ROOT, Lab
from ablation_lab.service.composing import begun, changed
from ablation_lab.service.composing import form as form_of
from ablation_lab.service.drawing import Drawing, drawn, drawn_links
from ablation_lab.service.rendering import rendered
from ablation_lab.study.files import LARGEST
from ablation_lab.study.project import open_project

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
SCRIPT = "text/javascript"
FILES = {"live.js": SCRIPT, "compose.js": SCRIPT, "live.css": "text/css"}
TEMPLATES = Path(__file__).parent / "templates"
MOST_KEPT = 64  # fragments
SHOWN = 100  # studies


def pages(lab: Lab) -> APIRouter:
    """Return the pages of a lab."""
    router, words = APIRouter(include_in_schema=False), Words(lab)

    @router.get("/")
    async def start() -> HTMLResponse:
        return page_of("start.html.j2", cards=await words.cards(), store=redact(lab.store))

    @router.get("/cards")
    async def cards() -> HTMLResponse:
        return HTMLResponse(await words.cards(), headers=HEADERS)

    @router.get("/stored")
    async def stored() -> HTMLResponse:
        made = await asyncio.to_thread(lab.drawer.call, drawn_links, lab.store)
        return HTMLResponse(made, headers=HEADERS)

    @router.get("/studies/{study}")
    async def one(study: str) -> HTMLResponse:
        state = (await lab.hub.fold(study)).brief
        return page_of("study.html.j2", study=state, words=await words.of(study, 0))

    @router.get("/studies/{study}/words")
    async def fragment(study: str, first: int = 0) -> HTMLResponse:
        return HTMLResponse(await words.of(study, max(0, first)), headers=HEADERS)

    @router.get("/compose")
    async def compose(study: str = "", of: str = "") -> HTMLResponse:
        row = await asyncio.to_thread(lab.submissions.row, of) if of else None
        text = row.text if row else await asyncio.to_thread(begun, lab.project, study)
        studies, profile = open_project(lab.project).declared, row.profile if row else ""
        return page_of("compose.html.j2", text=text, studies=studies, profile=profile)

    @router.post("/compose/form")
    async def form(asked: Composed) -> JSONResponse:
        aside = lab.drawer.call
        text = asked.text
        if asked.path:
            text = await asyncio.to_thread(aside, changed, text, asked.path, asked.value)
        made = {"text": text, "form": await asyncio.to_thread(aside, form_of, text)}
        return JSONResponse(made, headers=HEADERS)

    @router.get("/live/{name}")
    async def file(name: str) -> FileResponse:
        kind = FILES.get(name)
        path = TEMPLATES / (name if kind else "live.css")
        return FileResponse(path, 200 if kind else 404, HEADERS, media_type=kind)

    return router


class Composed(BaseModel):
    """A text, and what was typed into the field of a path."""

    text: Annotated[str, Field(max_length=LARGEST)]
    path: Annotated[str, Field(max_length=300)] = ""
    value: Annotated[str, Field(max_length=10_000)] = ""


class Words:
    """The fragments of pages, each made once for an event however many look."""

    def __init__(self, lab: Lab) -> None:
        """Make fragments of a lab's studies."""
        self._lab = lab
        self._made: OrderedDict[tuple[str, int], tuple[int, str]] = OrderedDict()
        self._making: defaultdict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def cards(self) -> str:
        """Return the cards of the newest studies."""
        newest = await asyncio.to_thread(self._lab.submissions.last_event)
        return await self._once(("", 0), newest, self._cards)

    async def _cards(self) -> str:
        heads = await asyncio.to_thread(self._lab.submissions.heads)
        heads.sort(key=lambda head: -head.submitted)
        studies = [await self._lab.hub.brief(head) for head in heads[:SHOWN]]
        return rendered("cards.html.j2", studies=studies)

    async def of(self, study: str, first: int) -> str:
        """Return what is said of a study, with its cells from one on."""
        known = (await self._lab.hub.fold(study)).brief

        async def make() -> str:
            own = Drawing(self._lab.submissions.uri, self._lab.store, study, first)
            return await asyncio.to_thread(self._lab.drawer.call, drawn, own)

        return await self._once((study, first), known.last_event, make)

    async def _once(
        self, name: tuple[str, int], event: int, make: Callable[[], Awaitable[str]]
    ) -> str:
        async with self._making[name]:
            known = self._made.get(name)
            if known is None or known[0] < event:
                self._made[name] = known = event, await make()
            self._made.move_to_end(name)
            while len(self._made) > MOST_KEPT:
                self._making.pop(self._made.popitem(last=False)[0], None)
        return known[1]


def page_of(name: str, status: int = 200, **shown: Any) -> HTMLResponse:
    """Return a page of a template."""
    return HTMLResponse(rendered(name, api=ROOT, **shown), status, HEADERS)
