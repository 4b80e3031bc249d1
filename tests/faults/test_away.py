"""A store that goes away while runs are trained: what is over waits on disk, and is sent once."""

from __future__ import annotations

import os
import signal
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from ablation_lab.store.client import Store
from ablation_lab.store.trials import open_storage
from ablation_lab.store.writers import close
from tests.cli.lab import ended, wait_until
from tests.faults.lab import Many, Results
from tests.faults.postgres import Postgres

pytestmark = pytest.mark.slow
# `stop -m immediate`; and, in the long form, `restart`.
HOW = [signal.SIGQUIT, *([signal.SIGINT] if "ABLATION_KILLS" in os.environ else [])]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """Start a server of its own, with an empty store and queue to be copied."""
    with tempfile.TemporaryDirectory(prefix="postgres") as folder:
        running = Postgres(Path(folder))
        opened = Store(running.create("runs")).client
        open_storage(running.create("queue")).engine.dispose()
        close(opened)
        yield running
        running.stop()


@pytest.fixture
def remote(many: Many, server: Postgres) -> Many:
    """Return the study of many runs with its store and its queue on the server."""
    name = uuid.uuid4().hex
    many.uri = server.create(f"runs {name}", "runs")
    many.queue = server.create(f"queue {name}", "queue")
    return many


@pytest.mark.parametrize("how", HOW)
def test_a_database_that_is_away_is_waited_for_while_training_goes_on(
    remote: Many, server: Postgres, undisturbed: Results, how: signal.Signals
) -> None:
    runner = remote.start_and_train(2)
    server.stop(how)
    wait_until(lambda: len(remote.spooled()) > 3, what="runs in the spool")
    server.start()
    outcome = ended(runner)
    assert outcome.status == 0, outcome
    away, back = outcome.err.splitlines()
    assert away.startswith("away: the database failed: ")
    assert back == "the store is back; what waited is being sent"
    remote.assert_whole(undisturbed)


def test_what_could_not_be_sent_is_sent_first_by_the_next_call(
    remote: Many, server: Postgres, undisturbed: Results
) -> None:
    runner = remote.start_and_train(2)
    server.stop(signal.SIGQUIT)
    wait_until(lambda: len(remote.spooled()) > 2, what="runs in the spool")
    runner.send_signal(signal.SIGINT)
    outcome = ended(runner)
    assert outcome.status == 130
    assert outcome.err.splitlines()[-1] == "stopped; everything finished so far is kept"
    waiting = remote.spooled()
    server.start()
    # One may be in both: of its last step the answer never came.
    kept = waiting | {run.run_id for run in remote.stored()}
    first = remote.call("now.minutes=0")  # it trains nothing
    assert f"{len(kept)} done, " in first.out.splitlines()[0]
    assert {run.run_id for run in remote.stored()} == kept
    assert remote.call().status == 0
    remote.assert_whole(undisturbed)
