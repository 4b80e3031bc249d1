"""Both stores on PostgreSQL: a real server, the contracts of tracking and queue, a whole call."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import optuna
import pytest
from sqlalchemy import Pool, event

from ablation_lab.runner.queue import Queue
from ablation_lab.store import process
from ablation_lab.store.write import Tracker
from tests.cli.lab import ONE_WORKER, STUDY, Lab, ended
from tests.store.test_creation import AT_ONCE, KILLED, run

# The contract of writers, on this file's own ``store``.
from tests.store.test_writers import (  # noqa: F401
    client,
    experiment,
    items,
    test_a_batch_with_one_run_that_cannot_be_written_leaves_none,
    test_both_writers_leave_the_same_runs,
)

# The driver comes with the extras of the slow tests.
psycopg = pytest.importorskip("psycopg")
pytestmark = pytest.mark.slow

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


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Start a server of its own on a free port of the loopback; yield ``host:port``."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # Below the system's temporary folder itself, whose parents every account may pass.
    with tempfile.TemporaryDirectory(prefix="postgres") as folder:
        owner = account()
        os.chown(folder, owner.get("user", -1), owner.get("group", -1))
        data = f"{folder}/data"
        subprocess.run(
            [programs() / "initdb", "-D", data, "-U", "lab", "-A", "trust", "--no-sync"],
            check=True,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            **owner,
        )
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
        }
        command: list[str | Path] = [programs() / "postgres", "-D", data]
        command += [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        log = Path(folder, "log")
        with log.open("w") as lines:
            running = subprocess.Popen(command, cwd=folder, stderr=lines, **owner)
        try:
            await_answer(running, port, log)
            yield f"127.0.0.1:{port}"
        finally:
            # The server's word for: roll back, disconnect everyone, stop.
            running.send_signal(signal.SIGINT)
            running.wait(timeout=PATIENCE)


def await_answer(running: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until the server takes someone in."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            psycopg.connect(f"postgresql://lab@127.0.0.1:{port}/postgres").close()
        except psycopg.OperationalError:  # it listens before it takes anyone in
            assert running.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        else:
            return


@pytest.fixture(autouse=True)
def pools_closed() -> Iterator[None]:
    """Close what the stores' pools keep open for their process, which goes on here."""
    opened: list[Any] = []

    def note(connection: Any, _: Any) -> None:
        opened.append(connection)

    event.listen(Pool, "connect", note)
    yield
    event.remove(Pool, "connect", note)
    for connection in opened:
        connection.close()


@pytest.fixture
def database(server: str) -> Callable[[str], str]:
    """Return a function that makes an empty database and gives back its address."""

    def create(name: str) -> str:
        address = f"postgresql://lab@{server}"
        # A database is not created within a transaction.
        with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return f"{address}/{name}"

    return create


@pytest.fixture
def store(database: Callable[[str], str], request: pytest.FixtureRequest) -> str:
    """Return the address of an empty store, as the contract of writers asks for it."""
    uri = database(f"store of {request.node.name}"[:60].replace(" ", "_"))
    Tracker(uri, None)
    return uri


def test_two_runners_that_lease_at_the_same_moment_share_the_cells(
    database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = database("leases")
    queues = []
    for name in (process.identity(), "another machine|1|1"):
        with monkeypatch.context() as patch:
            patch.setattr(process, "identity", lambda name=name: name)
            queues.append(Queue(uri, "small (smoke)", {"width": ("small",)}))
    cells = {f"cell{n}": {"width": "small"} for n in range(12)}
    start = Barrier(2)

    def lease(queue: Queue) -> set[str]:
        start.wait(timeout=PATIENCE)
        return set(queue.lease(cells).cells)

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lease, queues)
    assert one | other == set(cells)
    assert not one & other
    (name,) = optuna.get_all_study_names(uri)
    assert len(optuna.load_study(study_name=name, storage=uri).trials) == len(cells)


@pytest.mark.parametrize("kind", ["tracking", "queue"])
def test_any_number_may_begin_at_once_on_no_tables(
    database: Callable[[str], str], tmp_path: Path, kind: str
) -> None:
    addresses = [database(f"{kind} {number}") for number in range(3)]
    run(AT_ONCE, kind, *addresses, folder=tmp_path)


@pytest.mark.parametrize("kind", ["tracking", "queue"])
def test_a_kill_while_tables_are_made_leaves_nothing_in_the_way(
    database: Callable[[str], str], kind: str
) -> None:
    run(KILLED, kind, "6", *(database(f"{kind} killed {number}") for number in range(3)))


def test_runners_that_begin_at_once_on_no_store_share_the_work(
    database: Callable[[str], str], tmp_path: Path
) -> None:
    lab = Lab(tmp_path)
    lab.declare("tiny", STUDY)
    arguments = ("study=tiny", "reports=null", ONE_WORKER, f"tracking.queue={database('queue3')}")
    stores = {"MLFLOW_TRACKING_URI": database("runs3")}
    runners = [lab.start(*arguments, **stores) for _ in range(3)]
    outcomes = [ended(runner) for runner in runners]
    assert [(outcome.status, outcome.err) for outcome in outcomes] == [(0, "")] * 3
    again = lab.call(*arguments, **stores)
    assert again.out.splitlines()[0] == "1 study, 2 cells, 4 runs: 4 done, nothing to do"
    with psycopg.connect(stores["MLFLOW_TRACKING_URI"]) as connection:
        counted = connection.execute(
            "SELECT count(*), count(DISTINCT value) FROM tags WHERE key = 'ablation.key'"
        )
        assert counted.fetchone() == (4, 4)


def test_a_study_runs_end_to_end_and_a_second_call_does_nothing(
    database: Callable[[str], str], tmp_path: Path
) -> None:
    lab = Lab(tmp_path)
    lab.declare("tiny", STUDY)
    arguments = ("study=tiny", ONE_WORKER, f"tracking.queue={database('queue')}")
    stores = {"MLFLOW_TRACKING_URI": database("runs")}
    first = lab.call(*arguments, **stores)
    assert (first.status, first.err) == (0, "")
    assert first.out.splitlines()[0].startswith("1 study, 2 cells, 4 runs: 0 done, 4 to do")
    rows = (tmp_path / "reports" / "smoke" / "tiny" / "runs.csv").read_text().splitlines()
    assert sum(",finished," in row for row in rows) == 4
    again = lab.call(*arguments, **stores)
    assert (again.status, again.err) == (0, "")
    assert again.out.splitlines()[0] == "1 study, 2 cells, 4 runs: 4 done, nothing to do"
    assert not (tmp_path / "runs" / "mlflow.db").exists()
    assert not (tmp_path / "runs" / "queue.db").exists()
