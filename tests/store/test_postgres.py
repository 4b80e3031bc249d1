"""Both stores on PostgreSQL: a real server, the contracts of tracking and queue, a whole call."""

from __future__ import annotations

import tempfile
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
from tests.faults.postgres import PATIENCE, Postgres
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


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """Start a server of its own."""
    # Below the system's temporary folder itself, whose parents every account may pass.
    with tempfile.TemporaryDirectory(prefix="postgres") as folder:
        running = Postgres(Path(folder))
        yield running
        running.stop()


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
def database(server: Postgres) -> Callable[[str], str]:
    """Return a function that makes an empty database and gives back its address."""
    return server.create


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
