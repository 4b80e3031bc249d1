"""The cookbook's commands and notebook, run as they stand in a folder with nothing but the file."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest
from matplotlib import pyplot as plt

from ablation_lab import Study
from tests.cli.test_import import call, table

COOKBOOK = Path(__file__).resolve().parents[2] / "docs" / "cookbook"


def command(page: str) -> list[str]:
    """Return the words behind `ablation import` of a page's first command."""
    text = (COOKBOOK / page).read_text(encoding="utf-8")
    block, *_ = re.findall(r"```bash\nablation import (.*?)\n```", text, re.DOTALL)
    return shlex.split(block)


def test_a_csv_of_somebody_elses(tmp_path: Path) -> None:
    shutil.copy(COOKBOOK / "results.csv", tmp_path)
    outcome = call(tmp_path, *command("csv.md"))
    assert outcome.status == 0, outcome
    made = table(tmp_path / "reports" / "imported" / "results" / "comparisons.csv")
    assert len(made) == 5
    assert {row["verdict"] for row in made} <= {"better", "worse", "undecided"}
    assert "better" in {row["verdict"] for row in made}


def test_what_wandb_exports(tmp_path: Path) -> None:
    shutil.copy(COOKBOOK / "wandb.csv", tmp_path)
    outcome = call(tmp_path, *command("wandb.md"))
    assert outcome.status == 0, outcome
    folder = tmp_path / "reports" / "imported" / "wandb"
    runs = table(folder / "runs.csv")
    assert [row["reason"] for row in runs if row["status"] == "failed"] == ["crashed"]
    cells = table(folder / "cells.csv")
    assert {row["metric"] for row in cells} == {"val/acc", "val/loss"}
    assert [row["cell"] for row in cells[:2]] == ["lr=0.01,optimizer=sgd", "lr=0.01,optimizer=adam"]


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(COOKBOOK / "results.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "show", lambda: None)
    cells = json.loads((COOKBOOK / "results.ipynb").read_text(encoding="utf-8"))["cells"]
    names: dict[str, object] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert isinstance(names["study"], Study)
    assert isinstance(names["results"], pd.DataFrame)
    assert (tmp_path / "reports" / "imported" / "index.html").exists()
    plt.close("all")
