"""A tracking server that is killed while runs are trained, and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.cli.lab import ended, wait_until
from tests.faults.lab import Many, Results

pytestmark = pytest.mark.slow


class TrackingServer:
    """MLflow's own server, on a database and a folder of its own, to be killed."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._folder = folder
        self.start()

    @property
    def uri(self) -> str:
        """The address of the store."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it; return when it answers."""
        command = [sys.executable, "-m", "mlflow", "server", f"--port={self._port}", "--workers=1"]
        command += [f"--backend-store-uri=sqlite:///{self._folder}/server.db"]
        command += [f"--artifacts-destination={self._folder}/files"]
        with (self._folder / "log").open("a") as log:
            self._running = subprocess.Popen(
                command, cwd=self._folder, stdout=log, stderr=log, start_new_session=True
            )
        wait_until(self._answers, what="an answer of the server")

    def kill(self) -> None:
        """Kill it and its workers."""
        os.killpg(self._running.pid, signal.SIGKILL)
        self._running.wait()

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.uri}/health", timeout=5).ok
        except requests.RequestException:
            return False


def test_a_tracking_server_that_is_killed_is_waited_for(
    many: Many, tmp_path: Path, undisturbed: Results
) -> None:
    server = TrackingServer(tmp_path)
    try:
        many.uri = server.uri
        runner = many.start_and_train(2)
        server.kill()
        wait_until(lambda: len(many.spooled()) > 3, what="runs in the spool")
        server.start()
        outcome = ended(runner)
        assert outcome.status == 0, outcome
        away, back = outcome.err.splitlines()
        assert away.startswith("away: the server does not answer: ")
        assert back == "the store is back; what waited is being sent"
        many.assert_whole(undisturbed)
    finally:
        server.kill()
