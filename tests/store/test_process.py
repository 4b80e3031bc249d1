"""Whether the process behind a name lives."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from ablation_lab.store import process


def test_this_process_lives() -> None:
    assert process.name() == f"{socket.gethostname()}:{os.getpid()}"
    assert process.is_alive(process.name()) is True


def test_a_process_that_ended_does_not() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert process.is_alive(f"{socket.gethostname()}:{ended.pid}") is False


def test_of_other_hosts_and_other_text_nobody_can_tell() -> None:
    assert process.is_alive("another.host:1") is None
    assert process.is_alive("") is None
    assert process.is_alive(f"{socket.gethostname()}:") is None
