"""Notices over a real server on this machine: signed, kept, tried again, and nowhere unintended."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ablation_lab.errors import ConfigurationError, redact
from ablation_lab.service import notices as module
from ablation_lab.service.hooks import Hook, hooks_of, is_public, signature
from ablation_lab.service.notices import FOLLOWED, NOTICES, Notifier
from ablation_lab.service.state import Kind, State, Wish
from ablation_lab.service.submissions import Submission, Submissions

SECRET = "a secret of the lab's own"
VERDICT = {"first": "w=5", "second": "w=2", "metric": "m", "verdict": "better", "n": 8}


class Receiver(ThreadingHTTPServer):
    """Hears, and answers as it is told to; the last answer stays."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Heard)
        self.heard: list[tuple[Mapping[str, str], bytes]] = []
        self.answers = [200]

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server_port}/hook?of=lab"


class _Heard(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.heard.append((dict(self.headers), body))
        answers = self.server.answers
        self.send_response(answers.pop(0) if len(answers) > 1 else answers[0])
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def queue(tmp_path: Path) -> Submissions:
    return Submissions(f"sqlite:///{tmp_path}/service.db")


def settings(url: str, **changes: Any) -> dict[str, Any]:
    hook = {"url": url, "secret": SECRET}
    return {"private": ["localhost"], "webhooks": [hook]} | changes


def notifier(queue: Submissions, hooks: Sequence[Hook]) -> Notifier:
    return Notifier(queue, hooks, lambda study: [VERDICT] if study == "a" else [])


def ended(queue: Submissions, name: str, status: int = 0) -> None:
    """Have a study be carried out, with one run."""
    queue.submit(Submission(name, "width", "smoke", "width: {}", "anna"))
    row = queue.take()
    assert row is not None
    queue.tell(name, Kind.RUNS, {"runs": []})
    queue.end(name, row.fence, status, "it is over")


def rows(queue: Submissions) -> list[tuple[str, int]]:
    with queue.engine.connect() as connection:
        found = connection.execute(select(NOTICES.c.state, NOTICES.c.tries)).all()
    return sorted((row.state, row.tries) for row in found)


def test_what_happens_is_told_signed_and_once(queue: Submissions, receiver: Receiver) -> None:
    ended(queue, "before anybody listened")
    hooks = hooks_of(settings(receiver.url))
    first, second = (notifier(queue, hooks) for _ in range(2))
    ended(queue, "a")
    ended(queue, "b", status=2)
    queue.submit(Submission("c", "width", "smoke", "width: {}"))
    queue.wish("c", Wish.CANCEL)
    for each in (first, second):  # two services of one store, and one that comes back
        each.collect()
        each.collect()
        each.tell()
    told = [json.loads(body) for _, body in receiver.heard]
    known = {(each["event"], each["id"], each.get("state")) for each in told}
    assert known == {
        ("decided", "a", None),
        ("ended", "a", "succeeded"),
        ("failed", "b", "failed"),
        ("ended", "c", "cancelled"),
    }
    assert len(told) == 4
    assert next(each["contrast"] for each in told if each["event"] == "decided") == VERDICT
    for headers, body in receiver.heard:
        at = headers["X-Ablation-Timestamp"]
        mac = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        assert headers["X-Ablation-Signature"] == f"sha256={mac}"
        assert headers["Host"] == f"localhost:{receiver.server_port}"
    assert len({headers["X-Ablation-Delivery"] for headers, _ in receiver.heard}) == 4
    # A contrast that is decided stays so: it is told once, though further runs come.
    queue.tell("a", Kind.RUNS, {"runs": []})
    first.collect()
    first.tell()
    assert len(receiver.heard) == 4
    assert signature(SECRET, "1", b"{}") != signature(SECRET, "2", b"{}")


def test_what_nobody_hears_waits_longer_each_time_also_over_a_restart(
    queue: Submissions, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    clock = [1_000.0]
    monkeypatch.setattr(module.time, "time", lambda: clock[0])
    receiver.answers = [500, 302, 200]
    hooks = hooks_of(settings(receiver.url))
    notifier(queue, hooks)
    ended(queue, "b")
    one = notifier(queue, hooks)
    one.collect()
    one.tell()
    assert rows(queue) == [("waiting", 1)]
    clock[0] += module.FIRST - 1
    notifier(queue, hooks).tell()
    assert len(receiver.heard) == 1
    clock[0] += 2
    notifier(queue, hooks).tell()  # a redirect is followed nowhere
    assert rows(queue) == [("waiting", 2)]
    assert len(receiver.heard) == 2
    clock[0] += 2 * module.FIRST + 1
    notifier(queue, hooks).tell()
    assert rows(queue) == [("told", 3)]
    assert len({headers["X-Ablation-Delivery"] for headers, _ in receiver.heard}) == 1
    assert "answered 500" in capsys.readouterr().err


def test_it_gives_up_in_the_end(queue: Submissions, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1_000.0]
    monkeypatch.setattr(module.time, "time", lambda: clock[0])
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://localhost:{gone.getsockname()[1]}/"
    told = notifier(queue, hooks_of(settings(url)))
    ended(queue, "b")
    told.collect()
    for _ in range(module.MOST_TRIES + 3):
        told.tell()
        clock[0] += 10_000_000
    assert rows(queue) == [("given up", module.MOST_TRIES)]


def test_a_service_that_dies_between_two_steps_loses_and_doubles_nothing(
    queue: Submissions, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = hooks_of(settings(receiver.url))
    told = notifier(queue, hooks)
    ended(queue, "b")

    class Killed(Exception):
        pass

    def dies(*_: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, "update", dies)
        with pytest.raises(Killed):
            told.collect()
    assert rows(queue) == []
    with queue.engine.connect() as connection:
        assert connection.execute(select(FOLLOWED.c.number)).scalar_one() == 0
    notifier(queue, hooks).collect()
    assert rows(queue) == [("waiting", 0)]


def test_a_command_reads_what_happened(queue: Submissions, tmp_path: Path) -> None:
    file = tmp_path / "heard; rm x"
    code = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.stdin.read())"
    command = [sys.executable, "-c", code, str(file)]
    fails = [sys.executable, "-c", "raise SystemExit(3)"]
    commands = [{"command": command, "events": ["failed"]}, {"command": fails}]
    told = notifier(queue, hooks_of({"commands": commands}))
    ended(queue, "b", status=2)
    told.collect()
    told.tell()
    heard = json.loads(file.read_text())
    assert (heard["event"], heard["state"], heard["reason"]) == (
        "failed",
        State.FAILED,
        "it is over",
    )
    assert rows(queue) == [("told", 1), ("waiting", 1)]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True), ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("127.0.0.1", False), ("10.0.0.1", False), ("172.16.3.4", False), ("192.168.1.1", False),
        ("169.254.169.254", False), ("0.0.0.0", False), ("::1", False), ("fe80::1%eth0", False),
        ("fd00::1", False), ("::ffff:127.0.0.1", False), ("::ffff:10.0.0.1", False),
        ("224.0.0.1", False), ("100.64.0.1", False), ("2002:7f00:1::", False),
    ],
)  # fmt: skip
def test_addresses_of_ones_own_network_are_told_from_the_internet(
    address: str, public: bool
) -> None:
    assert is_public(address) is public


def test_a_name_that_leads_to_this_machine_is_not_asked(
    queue: Submissions, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", receiver.server_port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: said)
    url = f"https://hooks.example.org:{receiver.server_port}/"
    (hook,) = hooks_of(settings(url, hosts=["hooks.example.org"]))
    assert "127.0.0.1 is not of the internet" in hook.tell("1", "{}")
    assert receiver.heard == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"private": []}, "is none of notify.hosts"),
        ({"hosts": ["localhost"], "private": []}, "expected https://"),
        ({"webhooks": [{"url": "https://u:p@localhost/", "secret": SECRET}]}, "no room for a"),
        ({"webhooks": [{"url": "file:///etc/passwd", "secret": SECRET}]}, "is none of"),
        ({"webhooks": [{"url": "http://localhost/", "secret": "short"}]}, "expected 16 letters"),
        ({"webhooks": [{"url": "http://localhost/"}]}, "secret"),
        ({"commands": [{"command": []}]}, "command"),
        ({"commands": [{"command": ["a"], "events": ["never"]}]}, "never"),
        ({"hooks": []}, "hooks"),
    ],
)
def test_what_cannot_be_told_is_refused(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigurationError, match=line):
        hooks_of(settings("http://localhost:1/", **changes))


def test_a_secret_is_shown_to_nobody() -> None:
    (hook,) = hooks_of(settings("http://localhost:1/"))
    assert SECRET not in repr(hook)
    assert SECRET not in redact(f"it said {SECRET} somewhere")
