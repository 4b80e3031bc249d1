"""A PostgreSQL server of one's own, to be stopped and started again."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

PATIENCE = 60.0


def programs() -> Path:
    """Return the folder of PostgreSQL's programs, of which few systems have all on the path."""
    found = shutil.which("initdb") or next(
        iter(sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), reverse=True)), None
    )
    assert found, "no initdb found: install PostgreSQL's server, such as Debian's postgresql"
    return Path(found).parent


def account() -> dict[str, Any]:
    """Return the account that runs the server, which refuses to be root's."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


class Postgres:
    """A server on a free port of the loopback, whose data lies in ``folder``."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._folder, self._owner = folder, account()
        os.chown(folder, self._owner.get("user", -1), self._owner.get("group", -1))
        command = [programs() / "initdb", "-D", folder / "data", "-U", "lab", "-A", "trust"]
        subprocess.run(
            [*command, "--no-sync"],
            check=True,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            **self._owner,
        )
        self.start()

    def start(self) -> None:
        """Start the server; return when it takes someone in."""
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
        }
        command: list[str | Path] = [programs() / "postgres", "-D", self._folder / "data"]
        command += [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        log = self._folder / "log"
        with log.open("a") as lines:
            self._running = subprocess.Popen(command, cwd=self._folder, stderr=lines, **self._owner)
        self._await_answer(log)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT rolls back and disconnects everyone, SIGQUIT leaves at once."""
        self._running.send_signal(how)
        self._running.wait(timeout=PATIENCE)

    def create(self, name: str, template: str = "template0") -> str:
        """Make a database like another one, or an empty one; return its address."""
        import psycopg

        # A database is not created within a transaction.
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.address(name)

    def address(self, name: str) -> str:
        """Return the address of a database."""
        return f"postgresql://lab@127.0.0.1:{self.port}/{name}"

    def _await_answer(self, log: Path) -> None:
        import psycopg

        end = time.monotonic() + PATIENCE
        while True:
            try:
                psycopg.connect(self.address("postgres")).close()
            except psycopg.OperationalError:  # it listens before it takes anyone in
                assert self._running.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.05)
            else:
                return
