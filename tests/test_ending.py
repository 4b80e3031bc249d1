"""Every call that cannot go on ends in one line: errors as the world gives them, and our own."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from mlflow import MlflowClient
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from ablation_lab.ending import carried_out
from ablation_lab.errors import StoreError


def full_disk() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        full.write("something")


def garbled_database() -> None:
    Path("garbled.db").write_bytes(b"no database" * 1000)
    with create_engine("sqlite:///garbled.db").connect() as connection:
        connection.execute(text("SELECT * FROM runs"))


def database_that_is_gone() -> None:
    try:
        create_engine("sqlite:////nowhere/at/all.db").connect()
    except SQLAlchemyError as error:
        raise RuntimeError("what a library makes of it") from error


def no_server() -> None:
    requests.get("http://127.0.0.1:9/?token=QZss", timeout=5)


def no_tracking_server() -> None:
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    MlflowClient("http://me:QZss@127.0.0.1:9").search_experiments()


def no_connection() -> None:
    socket.create_connection(("127.0.0.1", 9), timeout=5)


def no_permission() -> None:
    Path("/sys/mine").write_text("mine")


def no_memory() -> None:
    bytearray(1 << 62)


OUTSIDE = {
    full_disk: "No space left on device; make room, then call again",
    garbled_database: "DatabaseError: file is not a database; see that it is there and whole",
    database_that_is_gone: "unable to open database file; see that it is there and whole",
    no_server: r"the server does not answer: .*refused.*; see that it runs, then call again",
    no_tracking_server: r"the server does not answer: .*refused; see that it runs, then call again",
    no_connection: "Connection refused; see that the other side is there, then call again",
    no_permission: "/sys/mine: .*; see that it may be read and written",
    no_memory: "the machine has no memory left; ask for fewer workers",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of its own, with a secret in the environment and the settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "QZss")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (tmp_path / "conf").mkdir()
    settings = "tracking:\n  uri: postgresql://me:QZss@host/name\n  password: QZss\n"
    (tmp_path / "conf" / "config.yaml").write_text(settings)
    return tmp_path


def ended(act: Callable[[], object]) -> int:
    return carried_out(
        lambda: int(bool(act())), mendable=lambda e: str(e) if isinstance(e, StoreError) else ""
    )


@pytest.mark.parametrize("act", OUTSIDE)
def test_what_is_not_our_fault_is_one_line_that_says_what_to_do(
    act: Callable[[], None], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(act) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(f"^error: .*{OUTSIDE[act]}", line), line
    assert "QZ" not in line
    assert not (folder / "runs").exists()


def defect() -> None:
    raise KeyError("where is postgresql://me:QZ%40ss@host/name?password=QZss")


def defect_in_sql() -> None:
    with sqlite3.connect("own.db") as own:
        own.execute("CREATE TABLE runs (name TEXT PRIMARY KEY)")
    with create_engine("sqlite:///own.db").connect() as connection:
        for _ in range(2):
            connection.execute(text("INSERT INTO runs VALUES ('https://QZtoken@host')"))


@pytest.mark.parametrize("act", [defect, defect_in_sql])
def test_a_defect_leaves_a_report_without_secrets_and_a_line_that_names_it(
    act: Callable[[], None], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(act) == 1
    (line,) = capsys.readouterr().err.splitlines()
    found = re.search(
        r"^error: a defect of the lab: \w+Error: .*; (runs/defect-\S+\.txt) says", line
    )
    assert found, line
    report = folder / found[1]
    assert report.stat().st_mode & 0o777 == 0o600
    said = report.read_text()
    assert "QZ" not in said + line
    for part in (
        "command: ",
        "python 3",
        "torch ",
        "uri: postgresql://me:***@host",
        f"in {act.__name__}",
    ):
        assert part in said, part


def refused() -> None:
    raise StoreError("store postgresql://me:QZss@host/name: no such thing")


def test_what_its_maker_tells_is_told_as_it_is_but_for_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ended(refused) == 2
    err = capsys.readouterr().err
    assert err == "error: store postgresql://me:***@host/name: no such thing\n"
