"""What keeps others out: addresses that are not ours, pages of other sites, who shows no token.

A browser on this machine may be led to a name that points here (DNS rebinding), or have another
site's page send requests here. The first is told by the host that it asks for, the second by the
origin that it names. Who asks is told by a token, in a header or, of a browser, in a cookie.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ablation_lab.service.audit import Audit, Entry
from ablation_lab.service.problems import Problem
from ablation_lab.service.rights import OPEN, SAFE, needed
from ablation_lab.service.users import User, Users

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
COOKIE = "ablation"
REFUSED = (401, 403, 421, 429)
AGAIN = 1.0  # seconds between two looks whether the token of a stream is still one


@dataclass
class Rate:
    """At most ``each_second`` requests a second of one client, ``burst`` of them at once."""

    each_second: float = 20.0
    burst: float = 60.0
    most: int = 1_000  # clients that are told apart
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)

    def admits(self, client: str) -> bool:
        """Count a request; say whether it is one too many."""
        now = time.monotonic()
        left, since = self._left.pop(client, (self.burst, now))
        left = min(self.burst, left + self.each_second * (now - since))
        self._left[client] = max(0.0, left - 1), now
        while len(self._left) > self.most:
            del self._left[next(iter(self._left))]
        return left >= 1


@dataclass
class Gate:
    """Who comes in: ``hosts`` are as a client names the server.

    One that is not ``closed`` to who shows no token takes whoever is on this machine for its
    administrator, until there is a first token.
    """

    hosts: Collection[str]
    users: Users
    audit: Audit
    closed: bool = False
    requests: Rate = field(default_factory=Rate)
    failed: Rate = field(default_factory=lambda: Rate(each_second=0.1, burst=10))
    noted: Rate = field(default_factory=lambda: Rate(each_second=1))
    _streams: dict[str, tuple[float, bool]] = field(default_factory=dict)

    async def user(self, headers: Headers) -> User | None:
        """Return who asks, None for nobody who is known."""
        if token := token_of(headers):
            return await asyncio.to_thread(self.users.find, token)
        if not self.closed:
            self.closed = await asyncio.to_thread(self.users.any)
        return None if self.closed else User()

    async def still_knows(self, token: str) -> bool:
        """Whether a token is still one; asked once a second for all who listen with it."""
        since, known = self._streams.get(token, (-math.inf, False))
        if time.monotonic() - since > AGAIN:
            known = await asyncio.to_thread(self.users.find, token) is not None
            self._streams[token] = time.monotonic(), known
        return known


class Guard:
    """Lets through what is meant for this server, of those who may ask for it."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        """Guard an application."""
        self._app, self._gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application, which finds who asks as ``request.state.user``."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] != "http":
            await self._app(scope, receive, send)
        else:
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, status = Headers(scope=scope), 0

        async def seen(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            user = await self._gate.user(headers)
            answer = self._foreign(scope, headers) or self._unwanted(scope, headers, user)
        except SQLAlchemyError:
            user, answer = None, Problem(503, "the database of the service does not answer")
        scope.setdefault("state", {})["user"] = user or User()
        app = answer or self._app
        token = token_of(headers)
        watched = self._while_known(token, seen) if token and not answer else seen
        try:
            await app(scope, receive, watched)
        except Revoked:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        await self._note(scope, user, status)

    def _foreign(self, scope: Scope, headers: Headers) -> Problem | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if host not in self._gate.hosts:
            known = ", ".join(sorted(self._gate.hosts))
            return Problem(421, f"host: expected one of {known}, found {host[:100]!r}")
        if scope["method"] in SAFE or origin is None:
            return None
        if origin.partition("://")[2] not in self._gate.hosts:
            return Problem(403, f"origin: a page of {origin[:100]!r} changes nothing here")
        return None

    def _unwanted(self, scope: Scope, headers: Headers, user: User | None) -> Response | None:
        method, path = scope["method"], scope["path"]
        try:
            takes = needed(method, path)
        except PermissionError as error:
            return Problem(403, str(error))
        if takes and user is None:
            return self._unknown(scope, headers)
        if user and takes and not user.scope.covers(takes):
            return Problem(403, f"a token of scope {takes} is needed, this one is of {user.scope}")
        if method in SAFE or not path.startswith("/api/"):
            return None
        if self._gate.requests.admits((user and user.name) or client_of(scope)):
            return None
        rate = f"{self._gate.requests.each_second:.0f} a second"
        return Problem(429, f"too many requests; expected at most {rate}", {"Retry-After": "1"})

    def _unknown(self, scope: Scope, headers: Headers) -> Response:
        """Say that a token is needed, or another one."""
        if token_of(headers) and not self._gate.failed.admits(client_of(scope)):
            return Problem(429, "too many tokens that are none; wait", {"Retry-After": "10"})
        if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            return RedirectResponse("/login", 303)
        found = "expected one that is active" if token_of(headers) else "found none"
        said = f"token: {found}; ask who runs this service, and give it as ABLATION_TOKEN"
        return Problem(401, said, {"WWW-Authenticate": "Bearer"})

    def _while_known(self, token: str, send: Send) -> Send:
        """End a stream when the token of who listens is revoked."""
        stream = False

        async def checked(message: Message) -> None:
            nonlocal stream
            if message["type"] == "http.response.start":
                stream = b"text/event-stream" in dict(message["headers"]).get(b"content-type", b"")
            elif stream and not await self._gate.still_knows(token):
                raise Revoked
            await send(message)

        return checked

    async def _note(self, scope: Scope, user: User | None, status: int) -> None:
        """Keep what was changed, and what was refused: of that no more than a log can hold."""
        method, path, client = scope["method"], scope["path"], client_of(scope)
        deletes = "/delete" in path or method == "DELETE"
        changed = method not in SAFE and (path.startswith("/api/") or deletes)
        refused = status in REFUSED and self._gate.noted.admits(client)
        if refused or (changed and status not in REFUSED) or (path in OPEN and method == "POST"):
            entry = Entry(user.name if user else "", client, f"{method} {path}", status)
            await asyncio.to_thread(self._gate.audit.add, entry)


class Revoked(Exception):
    """The token of who listens is none any more."""


def token_of(headers: Headers) -> str:
    """Return the token that a request shows, '' for none."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    cookies: dict[str, Any] = cookie_parser(headers.get("cookie", ""))
    return str(cookies.get(COOKIE, ""))


def hosts_of(port: int, names: Collection[str] = ()) -> list[str]:
    """Return what clients may call a server: this machine with its port, and further names.

    A name with a port is taken as it stands; one without stands for itself, too, as a proxy or the
    port that belongs to http or https has it.
    """
    own = [f"{name}:{port}" for name in (*LOOPBACK, *names)]
    return [*own, *names]


def client_of(scope: Scope) -> str:
    """Return the address of who asks."""
    return str((scope.get("client") or ("", 0))[0])
