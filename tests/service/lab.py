"""A project of XOR with a service in a process of its own, as a user has it."""

from __future__ import annotations

import copy
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.cli.lab import STUDY, clean_environment, wait_until

SMALL = {**STUDY, "profiles": {"smoke": {"replicates": 2}}}
HOSTILE = "<script>alert(1)</script> & <b>bold</b>"
READY = 60.0  # however loaded the machine is


def study(title: str, *, steps: int = 20, **changes: Any) -> dict[str, Any]:
    """Return a declaration of its own: title and steps make its id."""
    declared = copy.deepcopy(SMALL) | {"title": title} | changes
    declared["run"]["training"]["steps"] = steps
    return declared


class Service:
    """`ablation serve` of a folder; it may be killed and started again at the same address."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.options = folder, options
        (folder / "conf" / "study").mkdir(parents=True, exist_ok=True)
        self.declare("tiny", study("tiny"))
        self.port = 0
        self.start()

    def declare(self, name: str, declared: dict[str, Any]) -> Path:
        path = self.folder / "conf" / "study" / f"{name}.yaml"
        path.write_text(yaml.safe_dump({name: declared}, sort_keys=False), encoding="utf-8")
        return path

    def start(self) -> None:
        """Start it, and wait for the line with its address."""
        command = [sys.executable, "-m", "ablation_lab", "serve", f"port={self.port}"]
        with (self.folder / "stderr").open("a") as errors:
            self.process = subprocess.Popen(
                [*command, "profile=smoke", "engine.workers=1", *self.options],
                cwd=self.folder,
                env=clean_environment(self.folder),
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        self.said = [self.process.stdout.readline() for _ in range(3)]
        self.url = self.said[0].split()[1].rstrip("/")
        self.port = int(self.url.rpartition(":")[2])
        wait_until(self.answers, what="the service answers", seconds=READY)

    def answers(self) -> bool:
        """Whether it answers."""
        try:
            return self.get("/healthz").ok
        except requests.ConnectionError:
            return False

    def kill(self) -> None:
        """Kill it as nothing can be killed harder."""
        self.process.kill()
        self._gone()

    def stop(self) -> int:
        """Stop it in good order."""
        self.process.send_signal(signal.SIGTERM)
        self._gone()
        return self.process.returncode

    def _gone(self) -> None:
        self.process.wait(60)
        if self.process.stdout:
            self.process.stdout.close()

    def get(self, path: str, **asked: Any) -> requests.Response:
        return self.ask("GET", path, **asked)

    def post(self, path: str, **asked: Any) -> requests.Response:
        return self.ask("POST", path, **asked)

    def ask(self, method: str, path: str, **asked: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            return session.request(method, f"{self.url}{path}", timeout=60, **asked)
