"""The thread that sends: it tries again, says so once, gives up at last, and holds up nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ablation_lab.runner import delivery
from ablation_lab.runner.delivery import Away, Delivery
from ablation_lab.store.spool import Spool, Spooled
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run, TrainerName

Told = list[tuple[Record, float]]


class Server:
    """What runs are sent to: takes what it is sent while it is up, as ``fault`` has it."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.open = threading.Event()
        self.open.set()
        self.taken: list[int] = []
        self.again: list[bool] = []

    def send(self, runs: list[Spooled], again: bool) -> None:
        self.open.wait(timeout=60)
        self.again.append(again)
        if self.fault:
            raise self.fault
        self.taken += [run.replicate for run in runs]

    def look(self) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """Return a server, of whose absence this test hears soon."""
    monkeypatch.setattr(delivery, "AGAIN", 0.01)
    return Server()


@pytest.fixture
def sending(server: Server, tmp_path: Path) -> Delivery:
    """Return what sends to the server."""
    return Delivery(Spool(tmp_path / "spool" / "own", {}), send=server.send, look=server.look)


@pytest.fixture
def told(make_run: Callable[..., Run]) -> Told:
    """Return six runs that are over."""
    runs = [make_run(replicate=number) for number in range(6)]
    return [(Record(run, Status.FINISHED, TrainerName.SINGLE), 0.5) for run in runs]


def sent(sending: Delivery, told: Told) -> None:
    sending.add(told)
    sending.drain()


def test_what_was_added_is_sent_in_order_and_nothing_stays(
    sending: Delivery, server: Server, told: Told, tmp_path: Path
) -> None:
    with sending:
        for each in told:
            sending.add([each])
        sending.drain()
        assert server.taken == [0, 1, 2, 3, 4, 5]
    assert set(server.again) == {False}
    assert list(tmp_path.iterdir()) == []


def test_nobody_waits_for_a_server_that_hangs_and_it_is_said(
    sending: Delivery,
    server: Server,
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.open.clear()
    with sending:
        for each in told:
            sending.add([each])
        assert server.taken == []
        sending.watch()
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(delivery, "SILENT", -1.0)
        sending.watch()
        sending.watch()
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("away: no answer for ")
        monkeypatch.setattr(delivery, "SILENT", 60.0)
        server.open.set()
    assert server.taken == [0, 1, 2, 3, 4, 5]


def test_a_server_that_is_away_is_said_once_and_sent_to_again(
    sending: Delivery, server: Server, told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    server.fault = ConnectionRefusedError(111, "Connection refused")
    with sending:
        sending.add(told)
        while len(server.again) < 5:
            threading.Event().wait(0.01)
        server.fault = None
    assert server.taken == [0, 1, 2, 3, 4, 5]
    assert server.again[0] is False
    assert set(server.again[1:]) == {True}
    away, back = capsys.readouterr().err.splitlines()
    assert away.startswith("away: Connection refused; see that the other side is there")
    assert back == "the store is back; what waited is being sent"


def test_what_is_no_absence_is_raised_where_the_call_asks_next(
    sending: Delivery, server: Server, told: Told, tmp_path: Path
) -> None:
    server.fault = ValueError("no such run")
    with pytest.raises(ValueError, match="no such run"), sending:
        sent(sending, told)
    assert (tmp_path / "spool" / "own" / "runs.jsonl").read_bytes().count(b"\n") == 7


def test_who_has_nothing_else_to_do_waits_only_so_long(
    sending: Delivery, server: Server, told: Told, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = Delivery(Spool(tmp_path / "spool" / "own", {}), send=server.send, look=server.look)
    monkeypatch.setattr(delivery, "PATIENCE", 0.1)
    server.fault = ConnectionRefusedError(111, "Connection refused")

    def ask() -> None:
        raise server.fault or AssertionError

    with pytest.raises(Away), sending:
        sending.ask(ask)
    with pytest.raises(Away, match=r"6 runs wait in .*own, and the next call sends them"), other:
        sent(other, told)
    assert server.taken == []


def test_an_answer_is_waited_for(sending: Delivery) -> None:
    tries: list[int] = []

    def ask() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise TimeoutError(110, "Connection timed out")
        return "an answer"

    with sending:
        assert sending.ask(ask) == "an answer"
        with pytest.raises(KeyError):
            sending.ask(lambda: {}["a defect"])
