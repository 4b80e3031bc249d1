"""The HTTP API: submitted studies under ``/api/v1``, and what a machine asks a service.

Comes in: a `Lab`, which has the queue, the workers and the hub. Goes out: an application, with
OpenAPI at ``/openapi.json``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from ablation_lab.errors import ConfigurationError
from ablation_lab.service.aside import Aside, TooLarge
from ablation_lab.service.audit import Audit
from ablation_lab.service.checking import Asked, Checked, Checker
from ablation_lab.service.composing import raised
from ablation_lab.service.hub import Hub
from ablation_lab.service.notices import Notifier
from ablation_lab.service.problems import Problem
from ablation_lab.service.state import NotNow, StudyState, Wish
from ablation_lab.service.submissions import QueueFull, Submission, Submissions, UnknownStudy
from ablation_lab.service.worker import Workers
from ablation_lab.study.files import LARGEST

ROOT = "/api/v1"
JSON, YAML = "application/json", ("application/yaml", "application/x-yaml", "text/yaml")
# What is wrong, by what was raised; the first that fits.
STATUSES: tuple[tuple[type[ConfigurationError], int], ...] = (
    (UnknownStudy, 404),
    (NotNow, 409),
    (QueueFull, 503),
    (TooLarge, 413),
    (ConfigurationError, 422),
)


@dataclass(frozen=True)
class Lab:
    """All that the service of a project has."""

    project: Path
    store: str
    submissions: Submissions
    hub: Hub
    checker: Checker
    drawer: Aside
    audit: Audit
    workers: Workers | None = None
    notifier: Notifier | None = None
    words: tuple[str, ...] = ()  # of a command line that is called for it

    def wake(self) -> None:
        """Have the workers look at the queue."""
        if self.workers:
            self.workers.wake()


def problem_of(error: ConfigurationError) -> Problem:
    """Return an error of the lab as HTTP says it."""
    return Problem(next(code for kind, code in STATUSES if isinstance(error, kind)), str(error))


def routes(lab: Lab) -> APIRouter:
    """Return the API of a lab."""
    router = APIRouter(prefix=ROOT, tags=["studies"])
    for add in (_asking, _telling, _streaming):
        add(router, lab)
    return router


def _asking(router: APIRouter, lab: Lab) -> None:
    """Add what users ask for: that a study is trained, sooner, later or not."""

    @router.post("/studies", status_code=201, openapi_extra=BODY)
    async def submit(
        request: Request,
        profile: str = "",
        priority: Annotated[int, Query(ge=-1000, le=1000)] = 0,
        validate: bool = False,
    ) -> Response:
        """Submit a study; with validate=true, say what would run."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in (JSON, *YAML):
            found = f"expected {JSON} or {YAML[0]}, found {kind!r}"
            return Problem(415, f"content-type: {found}")
        asked = Asked(await _text(request), profile, is_json=kind == JSON, plan=validate)
        checked = await asyncio.to_thread(lab.checker.check, asked)
        if validate:
            return JSONResponse(_would_run(checked))
        return await _queued(lab, checked, request.state.user.name, priority)

    @router.post("/studies/{study}/priority")
    async def priority(
        request: Request, study: str, value: Annotated[int, Query(ge=-1000, le=1000)]
    ) -> Response:
        """Have a study wait before the same user's of a lower priority."""
        if problem := await _of_another(request, lab, study):
            return problem
        await asyncio.to_thread(lab.submissions.prioritise, study, value)
        return JSONResponse(_brief(await state_of(lab, study)))

    @router.post("/studies/{study}/replicates", status_code=201)
    async def replicates(
        study: str,
        value: Annotated[int, Query(ge=1, le=1_000_000)],
        user: Annotated[str, Header(alias="X-User", max_length=100)] = "",
    ) -> JSONResponse:
        """Submit a study anew with more replicates of each cell; what there is of it stays."""
        row = await asyncio.to_thread(lab.submissions.row, study)
        text = await asyncio.to_thread(lab.drawer.call, raised, row.text, row.profile, value)
        checked = await asyncio.to_thread(lab.checker.check, Asked(text, row.profile))
        return await _queued(lab, checked, user, row.priority)

    @router.post("/studies/{study}/{wish}")
    async def wish(request: Request, study: str, wish: Wish) -> Response:
        """Have a study be cancelled, paused, or resumed; it may be asked for again."""
        if problem := await _of_another(request, lab, study):
            return problem
        asks = f"asked for by {name}" if (name := request.state.user.name) else "asked for"
        await asyncio.to_thread(lab.submissions.wish, study, wish, asks)
        lab.wake()
        await lab.hub.look()
        return JSONResponse(_brief(await state_of(lab, study)))


def _telling(router: APIRouter, lab: Lab) -> None:
    """Add what there is to know of studies now."""

    @router.get("/studies")
    async def studies(
        state: str = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> JSONResponse:
        """Return the submitted studies, the newest first."""
        heads = await asyncio.to_thread(lab.submissions.heads)
        found = [head for head in heads if state in ("", head.state)]
        found.sort(key=lambda head: -head.submitted)
        shown = [await lab.hub.brief(head) for head in found[offset : offset + limit]]
        return JSONResponse({"total": len(found), "studies": [_brief(each) for each in shown]})

    @router.get("/studies/{study}")
    async def one(study: str) -> JSONResponse:
        """Return a study: state, plan, progress, changes."""
        return JSONResponse(_brief(await state_of(lab, study)))

    @router.get("/studies/{study}/grid")
    async def grid(study: str) -> JSONResponse:
        """Return the cells of a study with their runs, and the failures."""
        state = (await lab.hub.fold(study)).state
        return JSONResponse(_grid(state))

    @router.get("/studies/{study}/log")
    async def log(study: str) -> PlainTextResponse:
        """Return what the call says that carries the study out."""
        lines = (await lab.hub.fold(study)).state.log
        return PlainTextResponse("".join(f"{line}\n" for line in lines))


def _streaming(router: APIRouter, lab: Lab) -> None:
    """Add what happens, as server-sent events."""

    @router.get("/events")
    async def every_event(
        after: int | None = None, last_event_id: Annotated[str, Header()] = ""
    ) -> StreamingResponse:
        """Stream what happens to all studies from now on, or from behind an event on."""
        newest = await asyncio.to_thread(lab.submissions.last_event)
        return _streamed(lab, "", _from(after, last_event_id, newest))

    @router.get("/studies/{study}/events")
    async def events(
        study: str, after: int | None = None, last_event_id: Annotated[str, Header()] = ""
    ) -> StreamingResponse:
        """Stream what happened to a study and happens, or from behind an event on."""
        await state_of(lab, study)
        return _streamed(lab, study, _from(after, last_event_id, 0))


BODY = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": {"type": "object"}},
            YAML[0]: {"schema": {"type": "string"}},
        },
    }
}


async def _text(request: Request) -> str:
    """Return the body of a request, as long as it is no longer than a declaration may be."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            raise TooLarge(
                f"expected at most {LARGEST:,} bytes; a declaration is no place for data"
            )
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = f"{error.object[error.start]:#04x} at {error.start}"
        raise ConfigurationError(f"study.yaml: expected UTF-8, found byte {byte}") from None


async def _queued(lab: Lab, checked: Checked, user: str, priority: int) -> JSONResponse:
    submission = Submission(
        checked.id, checked.study, checked.profile, checked.text, user, priority
    )
    _, new = await asyncio.to_thread(lab.submissions.submit, submission)
    lab.wake()
    await lab.hub.look()
    found = _brief(await state_of(lab, checked.id))
    return JSONResponse(found, 201 if new else 200, {"Location": found["links"]["self"]})


async def _of_another(request: Request, lab: Lab, study: str) -> Problem | None:
    owner = (await asyncio.to_thread(lab.submissions.head, study)).user
    if request.state.user.may_change(owner):
        return None
    return Problem(403, f"{study} is {owner or 'nobody'}'s; a token of scope admin changes it")


async def state_of(lab: Lab, study: str) -> StudyState:
    """Return what is known of a study. Errors: ``UnknownStudy``."""
    head = await asyncio.to_thread(lab.submissions.head, study)
    return await lab.hub.brief(head)


def _would_run(checked: Checked) -> dict[str, Any]:
    said = asdict(checked)
    said.pop("text")
    return said


def _brief(state: StudyState) -> dict[str, Any]:
    said = asdict(state)
    for name in ("cells", "failures", "log"):
        said.pop(name)
    own = f"{ROOT}/studies/{state.id}"
    names = ("events", "grid", "log", "report", "runs.csv", "cells.csv", "comparisons.csv")
    return said | {"links": {"self": own, **{name: f"{own}/{name}" for name in names}}}


def _grid(state: StudyState) -> dict[str, Any]:
    cells = [asdict(cell) | {"estimate": cell.estimate} for cell in state.cells]
    failures = [asdict(failure) for failure in state.failures]
    metric = {"metric": state.metric, "higher_is_better": state.higher_is_better}
    return {"id": state.id, "last_event": state.last_event, **metric} | {
        "cells": cells,
        "failures": failures,
    }


def _from(after: int | None, last_event_id: str, otherwise: int) -> int:
    if last_event_id.isdigit():
        return int(last_event_id)
    return otherwise if after is None else after


def _streamed(lab: Lab, study: str, after: int) -> StreamingResponse:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream: AsyncIterator[bytes] = lab.hub.stream(study, after)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)
