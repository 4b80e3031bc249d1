"""The README's lines for notebooks, run as they stand on a store with a study of that name."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.figure import Figure

from ablation_lab import load_study
from ablation_lab.errors import StoreError

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_lines_of_the_readme_run(
    golden_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (lines,) = [block for block in blocks if "load_study" in block]
    (tmp_path / "runs").mkdir()
    shutil.copy(golden_uri.removeprefix("sqlite:///"), tmp_path / "runs" / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    mpl.use("agg")
    *statements, drawn, shown = lines.strip().splitlines()
    names: dict[str, object] = {}
    exec("\n".join(statements), names)  # what a reader would type
    frame = names["frame"]
    assert isinstance(frame, pd.DataFrame)
    assert set(frame["depth"].cat.categories) >= {"2", "3"}
    assert isinstance(eval(drawn, names), Figure)
    assert len(eval(shown, names)) == frame["depth"].nunique()


def test_a_store_that_is_not_there_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no file .*; run a study first"):
        load_study("xor_depth", store=f"sqlite:///{tmp_path}/none.db")
    assert not list(tmp_path.iterdir())
