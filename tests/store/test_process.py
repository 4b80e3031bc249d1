"""Whether the process behind an identity is gone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from ablation_lab.store import process

SLEEPS = [sys.executable, "-c", "import sys; sys.stdin.read()"]


def of(pid: int, start: str) -> str:
    """Return the identity of another process of this machine."""
    return f"{process.identity().rsplit('|', 2)[0]}|{pid}|{start}"


def test_a_reader_is_told_host_and_number() -> None:
    assert process.name() == f"{socket.gethostname()}:{os.getpid()}"


def test_this_process_lives() -> None:
    assert not process.is_gone(process.identity())


def test_a_process_that_ended_is_gone() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert process.is_gone(of(ended.pid, "1"))


def test_one_that_ended_and_that_nobody_asked_about_is_gone() -> None:
    with subprocess.Popen(SLEEPS, stdin=subprocess.PIPE) as running:
        start = process._start(running.pid)
        assert not process.is_gone(of(running.pid, start))
        running.kill()
        os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie
        assert process.is_gone(of(running.pid, start))


def test_a_number_that_was_given_out_again_is_another_process() -> None:
    assert process.is_gone(of(os.getpid(), "1"))


@pytest.mark.parametrize(
    "identity",
    ["", "another machine|1|1", "another machine pid:[1]|1|1", "|", "||", "a", of(0, "")[:-2]],
)
def test_of_other_machines_and_other_text_nobody_can_tell(identity: str) -> None:
    assert not process.is_gone(identity)


def test_where_there_is_no_list_of_processes_the_system_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "PROCESSES", process.Path("/nowhere"))
    start = process._start(os.getpid())
    assert start not in ("", process.GONE)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert process._start(ended.pid) == process.GONE
