"""``make serve``: what becomes the server, where it listens, and a store that is none."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ablation_lab.service import serve
from ablation_lab.store.publish import Publisher
from ablation_lab.store.write import Tracker

SETTINGS = (
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION",
    "MLFLOW_LOGGING_LEVEL",
    "PYTHONWARNINGS",
    "MLFLOW_TRACKING_URI",
)


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return the commands that this process would have become, instead of becoming them."""
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, command: commands.append([program, *command]))
    monkeypatch.setattr(os, "environ", {k: v for k, v in os.environ.items() if k not in SETTINGS})
    return commands


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | None:
    monkeypatch.setattr(sys, "argv", ["serve", *arguments])
    return serve.main()


def test_the_server_listens_on_this_machine_alone(
    become: list[list[str]],
    store: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    os.environ["MLFLOW_TRACKING_URI"] = store
    call(monkeypatch, "--port", "5055")
    ((program, *command),) = become
    assert (program, command[:4]) == (sys.executable, [sys.executable, "-m", "mlflow", "server"])
    options = dict(zip(command[4::2], command[5::2], strict=True))
    assert (options["--host"], options["--port"]) == ("127.0.0.1", "5055")
    assert options["--backend-store-uri"] == store
    assert os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert os.environ["MLFLOW_LOGGING_LEVEL"] == "WARNING"
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "the store is empty; run `make ablation` first",
        f"serving {store} at http://127.0.0.1:5055 (Ctrl-C ends it)",
    ]


def test_every_study_with_cells_has_its_links(
    become: list[list[str]],
    store: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Tracker(store, tmp_path / "artifacts").declare("small", "quick", {"question": "Why?"})
    cell = {"cell": "width=2", "factors": {"width": "2"}, "estimate": 0.5, "n": 3.0}
    Publisher(store).publish_cells("small", "quick", [cell])
    call(monkeypatch, "--store", store)
    study, table, charts, compare, last = capsys.readouterr().out.splitlines()
    assert study == "small (quick)"
    assert table.startswith("  table    http://127.0.0.1:5000/#/experiments/")
    assert charts.endswith("&compareRunsMode=CHART")
    (run,) = Publisher(store).cell_runs("small", "quick")
    assert f"compare-runs?runs=%5B%22{run}%22%5D" in compare
    assert last.startswith("serving ")
    assert len(become) == 1


def test_a_store_that_is_none_is_one_line_and_nothing_is_served(
    become: list[list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "mlflow.db"
    path.write_text("no database, " * 100)
    assert call(monkeypatch, "--store", f"sqlite:///{path}") == 2
    said = capsys.readouterr()
    assert said.err == (
        f"error: store {path}: not an SQLite database; move it away, or set tracking.uri\n"
    )
    assert (said.out, become) == ("", [])
