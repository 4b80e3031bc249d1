"""What keeps others out: addresses that are not ours, pages of other sites, too much at once.

A browser on this machine may be led to a name that points here (DNS rebinding), or have another
site's page send requests here. The first is told by the host that it asks for, the second by the
origin that it names.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ablation_lab.service.problems import Problem

SAFE = ("GET", "HEAD", "OPTIONS")
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


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


class Guard:
    """Lets through what is meant for this server; ``hosts`` are as a client names it."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        """Guard an application."""
        self._app, self._hosts, self._rate = app, frozenset(hosts), Rate()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application."""
        if scope["type"] == "http" and (problem := self._problem(scope)):
            await problem(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if host not in self._hosts:
            known = ", ".join(sorted(self._hosts))
            return Problem(421, f"host: expected one of {known}, found {host[:100]!r}")
        if scope["method"] in SAFE:
            return None
        if origin is not None and origin.partition("://")[2] not in self._hosts:
            return Problem(403, f"origin: a page of {origin[:100]!r} changes nothing here")
        client = (scope.get("client") or ("", 0))[0]
        if scope["path"].startswith("/api/") and not self._rate.admits(client):
            rate = f"{self._rate.each_second:.0f} a second"
            return Problem(429, f"too many requests; expected at most {rate}", {"Retry-After": "1"})
        return None


def hosts_of(port: int, names: Collection[str] = LOOPBACK) -> list[str]:
    """Return what clients may call a server: each name with its port."""
    return [f"{name}:{port}" for name in names]
