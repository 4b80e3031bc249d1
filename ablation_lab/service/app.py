"""The application: API, live page, MLflow's UI behind one address, and what a machine asks.

Comes in: a lab. Goes out: an ASGI application, which starts and stops what works with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from ablation_lab.errors import ConfigurationError, StoreError, redact
from ablation_lab.service.api import ROOT, Lab, problem_of, routes
from ablation_lab.service.audit import auditing
from ablation_lab.service.drawing import draws
from ablation_lab.service.gating import gating
from ablation_lab.service.guard import Gate, Guard
from ablation_lab.service.login import login
from ablation_lab.service.page import pages
from ablation_lab.service.problems import Problem
from ablation_lab.service.reports import reports
from ablation_lab.service.rights import MLFLOW
from ablation_lab.service.state import State

SOON = 0.5  # seconds
METRICS = "text/plain; version=0.0.4; charset=utf-8"


def application(lab: Lab, gate: Gate) -> Any:
    """Return the application of a lab, which answers whom a gate lets in."""
    mlflow = Mlflow(lab.store)

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        following = asyncio.create_task(lab.hub.follow())
        # Not at once: what is asked first is answered first.
        soon = asyncio.get_running_loop().call_later
        soon(SOON, lab.checker.warm)
        soon(SOON, lab.drawer.warm, draws)
        if lab.workers:
            lab.workers.start()
        if lab.notifier:
            lab.notifier.start()
        yield
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following

    app = FastAPI(
        title="Ablation Lab",
        version="1",
        lifespan=running,
        openapi_url=f"{ROOT}/openapi.json",
        # Their pages ask other servers for their scripts.
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(routes(lab))
    app.include_router(pages(lab))
    app.include_router(reports(lab))
    app.include_router(gating(lab))
    app.include_router(auditing(lab.audit))
    app.include_router(login(gate))
    _answer_problems(app)
    answer_machines(app, lab)
    app.mount(MLFLOW, mlflow)
    return Guard(app, gate)


class Mlflow:
    """MLflow's application, which is imported when it is first asked for: that takes seconds."""

    def __init__(self, store: str) -> None:
        """Know the store."""
        self._store = store
        self._loading: asyncio.Future[Any] | None = None

    def _load(self) -> Any:
        from ablation_lab.store.ui import mlflow_application

        return mlflow_application(self._store, MLFLOW)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as MLflow does, which knows its own prefix; the guard has judged the origin."""
        if self._loading is None or (self._loading.done() and self._loading.exception()):
            self._loading = asyncio.get_running_loop().run_in_executor(None, self._load)
        app = await asyncio.shield(self._loading)
        headers = [each for each in scope["headers"] if each[0] != b"origin"]
        await app({**scope, "root_path": "", "headers": headers}, receive, send)


def _answer_problems(app: FastAPI) -> None:
    @app.exception_handler(ConfigurationError)
    async def wrong(_: Request, error: ConfigurationError) -> Response:
        return problem_of(error)

    @app.exception_handler(StoreError)
    async def store(_: Request, error: StoreError) -> Response:
        return Problem(503, redact(str(error)))

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        return Problem(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def request(_: Request, error: RequestValidationError) -> Response:
        said = (f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors())
        return Problem(422, "; ".join(said))


def answer_machines(app: FastAPI, lab: Lab) -> None:
    """Add what machines ask: whether it lives, is ready, and how much it does."""

    @app.get("/healthz", tags=["machine"])
    async def healthz() -> PlainTextResponse:
        """Say that the process answers."""
        return PlainTextResponse("ok\n")

    @app.get("/readyz", tags=["machine"])
    async def readyz() -> Response:
        """Say whether the queue can be read."""
        await asyncio.to_thread(lab.submissions.last_event)
        return PlainTextResponse("ok\n")

    @app.get("/metrics", tags=["machine"])
    async def metrics() -> Response:
        """Return what Prometheus reads."""
        counts = await asyncio.to_thread(lab.submissions.counts)
        lines = ["# TYPE ablation_studies gauge"]
        lines += [f'ablation_studies{{state="{s}"}} {counts.get(s, 0)}' for s in State]
        lines += ["# TYPE ablation_listeners gauge", f"ablation_listeners {lab.hub.listeners}"]
        events = await asyncio.to_thread(lab.submissions.last_event)
        lines += ["# TYPE ablation_events_total counter", f"ablation_events_total {events}"]
        return PlainTextResponse("\n".join(lines) + "\n", media_type=METRICS)
