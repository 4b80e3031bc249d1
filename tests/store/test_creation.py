"""A store comes whole or not at all: many that begin it at once, and one that is killed in it.

What creates stores is forked from a process that has imported everything, so that a round takes the
seconds of a creation and not those of imports.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from mlflow.store.db.utils import _get_alembic_config
from mlflow.store.tracking.dbmodels.initial_models import Base
from sqlalchemy import create_engine

from ablation_lab.errors import StoreError
from ablation_lab.store.connect import alone, create_whole
from ablation_lab.store.runs import stored_runs
from ablation_lab.store.write import Tracker

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 300

# The last line of each: what went wrong. A child leaves without the parent's way out.
FORKED = """
import os, signal, sys, time, traceback
from ablation_lab.store.client import Store
from ablation_lab.store.trials import open_storage
import mlflow.store.tracking.sqlalchemy_store, ablation_lab.store.writers

def fork(what, *given):
    child = os.fork()
    if child == 0:
        try:
            what(*given)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return child

def tracking(uri):
    store = Store(uri)
    store.client.create_run(store.experiment("small"))

def queue(uri):
    open_storage(uri).get_all_studies()

def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""
AT_ONCE = """
kind, *uris = sys.argv[1:]
def begin(uri):
    while not os.path.exists(os.environ["GO"]):
        time.sleep(0.001)
    globals()[kind](uri)
for uri in uris:
    os.environ["GO"] = os.path.join(os.environ["FOLDER"], f"{uris.index(uri)}.go")
    children = [fork(begin, uri) for _ in range(4)]
    open(os.environ["GO"], "w").close()
    assert [ended(child) for child in children] == [0] * 4
"""
KILLED = """
kind, times, *uris = sys.argv[1:]
make = globals()[kind]
began = time.monotonic()
assert ended(fork(make, uris[0])) == 0
whole = time.monotonic() - began
for uri in uris[1:]:
    for moment in range(int(times)):
        child = fork(make, uri)
        time.sleep(whole * (moment + 0.5) / int(times))
        os.kill(child, signal.SIGKILL)
        ended(child)
    assert ended(fork(make, uri)) == 0
"""


def run(code: str, *words: str, folder: Path = ROOT) -> None:
    """Run the code in a process of its own; it said nothing and ended well."""
    done = subprocess.run(
        [sys.executable, "-c", FORKED + code, *words],
        cwd=ROOT,
        env=os.environ | {"FOLDER": str(folder)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def addresses(folder: Path, count: int) -> list[str]:
    return [f"sqlite:///{folder / f'{number}.db'}" for number in range(count)]


def left(folder: Path) -> set[str]:
    """Return the ends of the names of all files but databases, their logs and locks."""
    return {path.name.partition(".")[2] for path in folder.iterdir()} - {
        "db", "db-wal", "db-shm", "db.lock", "go",
    }  # fmt: skip


@pytest.mark.parametrize(("kind", "rounds"), [("tracking", 2), ("queue", 3)])
def test_any_number_may_begin_a_store_at_once(tmp_path: Path, kind: str, rounds: int) -> None:
    run(AT_ONCE, kind, *addresses(tmp_path, rounds), folder=tmp_path)
    assert left(tmp_path) == set()


def test_a_kill_while_a_queue_is_created_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    run(KILLED, "queue", "6", *addresses(tmp_path, 3))
    assert left(tmp_path) == set()


@pytest.mark.slow
def test_a_kill_while_a_store_is_created_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    run(KILLED, "tracking", "9", *addresses(tmp_path, 3))
    assert left(tmp_path) == set()


def test_who_dies_or_fails_in_the_middle_leaves_no_store(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    def begin(uri: str) -> None:
        with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
            connection.execute("CREATE TABLE one (x)")
            connection.commit()

    def fail(uri: str) -> None:
        begin(uri)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create_whole(path, fail)
    assert not path.exists()
    (tmp_path / "a.db-wal").write_text("the log of a database that was removed")
    create_whole(path, begin)
    create_whole(path, fail)  # it is there, so that nobody creates it
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("one",)]


def test_a_lock_that_nobody_lets_go_is_one_line(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'a.db'}"
    with (
        alone(uri, "lock"),
        pytest.raises(StoreError, match=r"a\.db\.lock: another process has held this lock for 0 s"),
        alone(uri, "lock", patience=0.01),
    ):
        pass


@pytest.fixture
def half_made(tmp_path: Path) -> Path:
    """Return a store as an earlier lab left it when it was killed: some migrations, no content."""
    path = tmp_path / "it's" / "mlflow.db"
    path.parent.mkdir()
    engine = create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        config = _get_alembic_config(str(engine.url))
        config.attributes["connection"] = connection
        command.upgrade(config, "451aebb31d03")
    engine.dispose()
    return path


@pytest.mark.parametrize(
    "open_it", [lambda uri: Tracker(uri, None), lambda uri: stored_runs(uri, ["small"])]
)
def test_a_store_that_was_left_half_made_says_how_to_mend_it(
    half_made: Path, open_it: Callable[[str], object]
) -> None:
    before = half_made.read_bytes()
    with pytest.raises(StoreError) as error:
        open_it(f"sqlite:///{half_made}")
    line = str(error.value)
    assert "was left half made by a process that died, and holds no run; delete it (`rm " in line
    assert half_made.read_bytes() == before
    subprocess.run(line.split("`")[1], shell=True, check=True)
    assert not half_made.exists()
    open_it(f"sqlite:///{half_made}")
