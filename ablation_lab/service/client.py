"""A service from Python: ``Server(url).submit("conf/study/demo.yaml").wait()``.

Comes in: the address of a service and studies. Goes out: what becomes of them. What the service
refuses is raised as the line that the command line would say. A token is read from the environment
or from a file, never from a command line, which other users of the machine can read.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from ablation_lab.errors import ConfigurationError
from ablation_lab.service.secret import private
from ablation_lab.service.state import OVER, State

URL = "http://127.0.0.1:5000"
ROOT = "/api/v1"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
PATIENCE = 90.0  # seconds for an answer, of which 60 may go by checking; a stream speaks each 15 s
AGAIN = 1.0  # seconds until a stream that ended is asked for again


class Refused(ConfigurationError):
    """What a service refused, in its words; ``status`` is that of HTTP."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


class Server:
    """The service at an address."""

    def __init__(self, url: str = URL) -> None:
        """Know its address; nothing is asked yet."""
        self.url = url.rstrip("/")
        self._session = requests.Session()
        # No proxy leads to this machine; no password of .netrc takes the place of the token.
        self._session.trust_env = urlsplit(url).hostname not in LOOPBACK
        self._session.auth = _authorised
        if authority := os.environ.get("ABLATION_CA"):
            self._session.verify = authority

    def submit(
        self, study: str | Path | Mapping[str, Any], *, profile: str = "", priority: int = 0
    ) -> Submitted:
        """Submit a study: the path of its file, or ``{name: declaration}``. Raises Refused."""
        asked: dict[str, Any] = {"profile": profile, "priority": priority}
        return Submitted(self, self._post(study, asked)["id"])

    def plan(self, study: str | Path | Mapping[str, Any], *, profile: str = "") -> dict[str, Any]:
        """Say what would run. Raises Refused."""
        found: dict[str, Any] = self._post(study, {"profile": profile, "validate": "true"})
        return found

    def studies(self) -> list[dict[str, Any]]:
        """Return every submitted study, the newest first."""
        found: list[dict[str, Any]] = []
        while True:
            answer = self.ask("GET", "/studies", params={"limit": 1000, "offset": len(found)})
            found += answer["studies"]
            if len(found) >= answer["total"] or not answer["studies"]:
                return found

    def study(self, name: str) -> Submitted:
        """Return a submitted study by its id, or the newest of a name. Raises Refused."""
        for each in self.studies():
            if name in (each["id"], each["study"]):
                return Submitted(self, each["id"])
        raise Refused(404, f"no study {name!r} was submitted to {self.url}")

    def ask(self, method: str, path: str, **asked: Any) -> Any:
        """Ask the API; return its answer, read from JSON where it is. Raises Refused."""
        answer = self._answer(method, path, **asked)
        kind = answer.headers.get("content-type", "")
        return answer.json() if kind.startswith("application/json") else answer.text

    def _answer(self, method: str, path: str, **asked: Any) -> requests.Response:
        settings = {"timeout": PATIENCE, **asked}
        answer = self._session.request(method, f"{self.url}{ROOT}{path}", **settings)
        if answer.ok:
            return answer
        said = answer.text[:300]
        with suppress(ValueError, KeyError, TypeError):
            said = answer.json()["detail"]
        raise Refused(answer.status_code, said)

    def _post(self, study: str | Path | Mapping[str, Any], asked: Mapping[str, Any]) -> Any:
        if isinstance(study, Mapping):
            return self.ask("POST", "/studies", json=study, params=asked)
        body, headers = Path(study).read_bytes(), {"Content-Type": "application/yaml"}
        return self.ask("POST", "/studies", data=body, headers=headers, params=asked)

    def stream(self, path: str, after: int) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """Yield number, kind and content of events, until the service ends the stream."""
        headers = {"Last-Event-ID": str(after)}
        with self._answer("GET", path, headers=headers, stream=True) as answer:
            event: dict[str, str] = {}
            for said in answer.iter_lines(chunk_size=1):
                line = said.decode()
                name, _, value = line.partition(": ")
                if line:
                    event[name] = value
                elif "data" in event:
                    yield int(event["id"]), event["event"], json.loads(event["data"])
                    event = {}


def token() -> str:
    """Return the token of who asks, '' without one.

    Errors: ``ConfigurationError`` for a file of a token that others can read.
    """
    if given := os.environ.get("ABLATION_TOKEN"):
        return given.strip()
    named = os.environ.get("ABLATION_TOKEN_FILE")
    path = Path(named or "~/.config/ablation/token").expanduser()
    if not named and not path.exists():
        return ""
    return private(path, "token").decode(errors="replace").strip()


def _authorised(request: requests.PreparedRequest) -> requests.PreparedRequest:
    if found := token():
        request.headers["Authorization"] = f"Bearer {found}"
    return request


class Submitted:
    """A study that was submitted to a service."""

    def __init__(self, server: Server, name: str) -> None:
        """Know its id."""
        self._server, self.id = server, name

    @property
    def path(self) -> str:
        """Its place in the API."""
        return f"/studies/{self.id}"

    @property
    def known(self) -> dict[str, Any]:
        """All that the service says of it now: state, reason, plan, progress, changes, links."""
        found: dict[str, Any] = self._server.ask("GET", self.path)
        return found

    @property
    def state(self) -> State:
        """What it is doing."""
        return State(self.known["state"])

    def cancel(self) -> Submitted:
        """Have it end, with everything finished kept."""
        return self._wish("cancel")

    def pause(self) -> Submitted:
        """Have it wait, with everything finished kept."""
        return self._wish("pause")

    def resume(self) -> Submitted:
        """Have it go on, or be tried again."""
        return self._wish("resume")

    def prioritise(self, priority: int) -> Submitted:
        """Have it wait before those of a lower priority."""
        self._server.ask("POST", f"{self.path}/priority", params={"value": priority})
        return self

    def events(self, after: int = 0) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """Yield what happened and happens, also over a restart of the service, until it is over."""
        last = after
        while True:
            with suppress(requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                for number, kind, said in self._server.stream(f"{self.path}/events", last):
                    last = number
                    yield number, kind, said
                    if kind == "state" and said["state"] in OVER and self.state in OVER:
                        return
            time.sleep(AGAIN)

    def wait(self) -> Submitted:
        """Wait until it is over."""
        for _ in self.events():
            pass
        return self

    def text(self, name: str) -> str:
        """Return its ``runs.csv``, ``cells.csv``, ``comparisons.csv`` or ``log``."""
        found: str = self._server.ask("GET", f"{self.path}/{name}")
        return found

    def _wish(self, wish: str) -> Submitted:
        self._server.ask("POST", f"{self.path}/{wish}")
        return self

    def __repr__(self) -> str:
        """Say which it is, without asking."""
        return f"<Submitted {self.id} at {self._server.url}>"
