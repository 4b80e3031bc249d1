"""``ablation serve``: what becomes the server, where it listens, and a store that is none."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from ablation_lab.errors import StoreError
from ablation_lab.service.serve import serve
from ablation_lab.store.publish import Publisher, Summary
from ablation_lab.store.write import Tracker
from ablation_lab.study.declare import declaration_of, declare
from ablation_lab.study.schema import parse_study

SETTINGS = (
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION",
    "MLFLOW_LOGGING_LEVEL",
    "PYTHONWARNINGS",
    "MLFLOW_BACKEND_STORE_URI",
)


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return the commands that this process would have become, instead of becoming them."""
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, command: commands.append([program, *command]))
    monkeypatch.setattr(os, "environ", {k: v for k, v in os.environ.items() if k not in SETTINGS})
    return commands


def test_the_server_listens_on_this_machine_alone(
    become: list[list[str]],
    store: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    serve(store, 5055)
    ((program, *command),) = become
    assert (program, command[:4]) == (sys.executable, [sys.executable, "-m", "mlflow", "server"])
    options = dict(zip(command[4::2], command[5::2], strict=True))
    assert (options["--host"], options["--port"]) == ("127.0.0.1", "5055")
    assert store not in command  # which other users of the machine see
    assert os.environ["MLFLOW_BACKEND_STORE_URI"] == store
    assert os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert os.environ["MLFLOW_LOGGING_LEVEL"] == "WARNING"
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "the store is empty; run `ablation run` first",
        f"serving {store} at http://127.0.0.1:5055 (Ctrl-C ends it)",
    ]


def test_every_study_with_cells_has_its_links(
    become: list[list[str]],
    store: str,
    tmp_path: Path,
    declaration: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    Tracker(store, tmp_path / "artifacts").declare("small", "smoke", {"question": "Why?"})
    content = {**declaration, "factors": {"width": declaration["factors"]["width"]}}
    content["factors"]["width"]["levels"].pop("large")
    declared = declaration_of(declare(parse_study("small", content), "smoke"), {})
    Publisher(store).publish_cells(declared, {"width=small": Summary({}, {"n": 3.0})})
    serve(store, 5000)
    study, table, charts, compare, last = capsys.readouterr().out.splitlines()
    assert study == "small (smoke)"
    assert table.startswith("  table    http://127.0.0.1:5000/#/experiments/")
    assert charts.endswith("&compareRunsMode=CHART")
    (run,) = Publisher(store).cell_runs("small", "smoke")
    assert f"compare-runs?runs=%5B%22{run}%22%5D" in compare
    assert last.startswith("serving ")
    assert len(become) == 1


def test_a_store_that_is_none_is_one_line_and_nothing_is_served(
    become: list[list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "mlflow.db"
    path.write_text("no database, " * 100)
    with pytest.raises(StoreError) as error:
        serve(f"sqlite:///{path}", 5000)
    line = f"store {path}: not an SQLite database; move it away, or set tracking.uri"
    assert str(error.value) == line
    assert (capsys.readouterr().out, become) == ("", [])
