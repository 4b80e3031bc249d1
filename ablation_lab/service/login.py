"""Signing in with a browser: a token becomes a cookie, which no script of a page reads.

Comes in: a token that is pasted, or the part of a link behind its ``#``, which no browser sends to
a server or tells another site; the script of the page passes it on, and takes it out of the
history.
"""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, RedirectResponse, Response

from ablation_lab.service.guard import COOKIE, Gate, client_of
from ablation_lab.service.page import HEADERS, TEMPLATES, page_of
from ablation_lab.service.problems import Problem
from ablation_lab.service.users import User

LONGEST = 1_000  # bytes of what a login sends
LASTS = 30 * 86_400  # seconds that a browser keeps the cookie; a token may end sooner


def login(gate: Gate) -> APIRouter:
    """Return the page where one signs in, and what it sends."""
    router = APIRouter(include_in_schema=False)

    @router.get("/login")
    async def page(request: Request) -> Response:
        user = await gate.user(request.headers)
        return page_of("login.html.j2", user=user or User(), known=user is not None)

    @router.get("/login.js")
    async def script() -> Response:
        return FileResponse(TEMPLATES / "login.js", 200, HEADERS, media_type="text/javascript")

    @router.post("/login")
    async def sign_in(request: Request) -> Response:
        """Set the cookie of a token; without a token, forget it."""
        token = await _token(request)
        answer = RedirectResponse("/" if token else "/login", 303)
        if not token:
            answer.delete_cookie(COOKIE, path="/")
        elif gate.users.find(token) is None:
            return _refused(gate, request)
        else:
            secure = request.url.scheme == "https"
            answer.set_cookie(
                COOKIE, token, LASTS, path="/", secure=secure, httponly=True, samesite="strict"
            )
        return answer

    return router


def _refused(gate: Gate, request: Request) -> Response:
    if not gate.failed.admits(client_of(request.scope)):
        return Problem(429, "too many tokens that are none; wait", {"Retry-After": "10"})
    return page_of("login.html.j2", 401, user=User(), known=False, wrong=True)


async def _token(request: Request) -> str:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST:
            return "too long to be one"
    return parse_qs(body.decode("latin-1")).get("token", [""])[0].strip()
