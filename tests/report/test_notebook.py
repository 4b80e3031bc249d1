"""A study in a notebook: the README's lines as they stand, its numbers, tables, figures, names."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import ablation_lab
from ablation_lab import Study
from ablation_lab.errors import ConfigurationError, StoreError

README = Path(__file__).resolve().parents[2] / "README.md"


def results() -> pd.DataFrame:
    draws = np.random.default_rng(1)
    return pd.DataFrame(
        [
            {"lr": lr, "act": act, "seed": s, "acc": 0.8 + (lr == 0.1) / 10 + draws.normal(0, 0.01)}
            for lr in (0.1, 0.01)
            for act in ("relu", "tanh")
            for s in range(6)
        ]
    )


@pytest.fixture(scope="module")
def study() -> Study:
    return Study.from_frame(
        results(),
        factors=["lr", "act"],
        replicate="seed",
        metric="acc",
        baseline={"lr": 0.01, "act": "relu"},
    )


def test_the_lines_of_the_readme_run(
    golden_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (lines,) = [block for block in blocks if "Study.load" in block]
    (tmp_path / "runs").mkdir()
    shutil.copy(golden_uri.removeprefix("sqlite:///"), tmp_path / "runs" / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    *statements, drawn, shown = lines.strip().splitlines()
    names: dict[str, object] = {}
    exec("\n".join(statements), names)  # what a reader would type
    frame = names["frame"]
    assert isinstance(frame, pd.DataFrame)
    assert {2, 3} <= set(frame["depth"])
    assert isinstance(eval(drawn, names), Axes)
    assert len(eval(shown, names)) == frame["depth"].nunique()


def test_a_store_that_is_not_there_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no file .*; run a study first"):
        Study.load("xor_depth", store=f"sqlite:///{tmp_path}/none.db")
    assert not list(tmp_path.iterdir())


def test_tables_and_figures_of_a_store_follow_the_runs(golden_uri: str) -> None:
    ladder = Study.load("ladder", profile="quick", store=golden_uri)
    assert len(ladder.frame) == 12
    shown = ladder.where(replicate=range(2)).table()
    assert shown.iloc[0, 1].startswith("90.1 ± ")
    assert "(2)" in shown.iloc[0, 1]
    assert ladder.figure("points").get_xlabel().startswith("test accuracy (%)")
    assert ladder.markdown("cells").startswith("**Every cell**")


def test_numbers_stay_numbers_and_no_column_is_empty(study: Study) -> None:
    frame = study.frame
    assert frame["lr"].dtype == np.float64
    assert not frame.isna().all().any()
    assert "test_accuracy" not in frame
    part = study.where(lr=0.1, act="relu").frame
    assert part["acc"].tolist() == results()["acc"].tolist()[:6]
    assert set(part["replicate"]) == set(range(6))


def test_comparisons_are_those_of_the_report(study: Study) -> None:
    made = study.comparisons().set_index("contrast")
    assert made.loc["lr=0.1,act=relu - lr=0.01,act=relu", "verdict"] == "better"
    assert made["n"].tolist() == [6, 6, 6]
    assert study.cells["estimate"].between(0.7, 1.0).all()


@pytest.mark.parametrize("kind", ["points", "heat", "rain", "pairs", "forest"])
def test_a_figure_draws_on_the_axes_that_are_given(study: Study, kind: str) -> None:
    ax = Figure().subplots()
    assert study.figure(kind, ax=ax) is ax
    assert ax.get_children()
    assert kind in study.figures


def test_the_forest_has_every_difference_with_its_interval(study: Study) -> None:
    ax = study.figure("forest")
    made = study.comparisons()
    shown = [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2][1:]
    assert [sorted(ends) for ends in shown] == [
        pytest.approx([100 * low, 100 * high])
        for low, high in zip(made["low"], made["high"], strict=True)
    ]


def test_paired_lines_join_the_values_of_one_replicate(study: Study) -> None:
    ax = study.figure("pairs")
    seen = {tuple(np.round(line.get_ydata(), 6)) for line in ax.lines}
    runs = results().set_index(["lr", "act", "seed"])["acc"]
    for seed in range(6):
        pair = 100 * runs[0.01, "relu", seed], 100 * runs[0.1, "tanh", seed]
        assert tuple(np.round(pair, 6)) in seen


def test_what_a_study_does_not_have_is_said(study: Study) -> None:
    with pytest.raises(ValueError, match="has no table 'none'; it has: main, cells, "):
        study.table("none")
    with pytest.raises(ValueError, match="has no figure 'pie'; it has: "):
        study.figure("pie")
    with pytest.raises(ValueError, match="was imported: nothing here trains its runs"):
        study.run()
    alone = Study.from_frame(results(), factors=["lr", "act"], metric="acc")
    with pytest.raises(ValueError, match="needs comparisons; study 'table' has no baseline"):
        alone.figure("forest")
    with pytest.raises(ValueError, match="need a baseline"):
        alone.figure("pairs")
    with pytest.raises(ConfigurationError, match="no column 'rate'"):
        Study.from_frame(results(), factors=["rate"], metric="acc")


def test_names_are_public_ones_and_jupyter_gets_a_table(study: Study) -> None:
    assert set(dir(ablation_lab)) == set(ablation_lab.__all__)
    assert {"load", "from_frame", "frame", "figure", "report", "plan", "run"} <= set(dir(study))
    assert not [name for name in dir(study) if name.startswith("_")]
    shown = study._repr_html_()
    assert "<h3>acc by lr and act</h3>" in shown
    assert shown.count("<tr") == 3
    assert repr(study) == "<Study table: 24 runs in 4 cells>"


def test_a_report_is_written_without_a_store(study: Study, tmp_path: Path) -> None:
    page = study.report(tmp_path)
    assert page == tmp_path / "imported" / "index.html"
    assert (tmp_path / "imported" / "table" / "table_main.tex").exists()


def test_a_wide_table_and_several_metrics(tmp_path: Path) -> None:
    wide = results().pivot(index=["lr", "act"], columns="seed", values="acc").add_prefix("acc_")
    path = tmp_path / "wide.csv"
    wide.reset_index().to_csv(path, index=False)
    made = Study.from_csv(
        path, factors={"lr": "rate", "act": ""}, metric="acc", replicate="seed",
        wide={"seed": "acc_*"},
    )  # fmt: skip
    assert made.name == "wide"
    assert len(made.frame) == 24
    assert made.table().columns[0] == "rate"
    both = results().assign(loss=lambda t: 1 - t["acc"])
    table = Study.from_frame(both, factors=["lr"], metric=["acc", "loss"]).table("cells")
    assert "loss" in table.columns


def test_the_runs_of_a_report_read_again_give_the_same_table(tmp_path: Path) -> None:
    rows = results().replace({"act": {"tanh": "none"}})
    rows.loc[3, "acc"], rows.loc[8, "acc"] = np.nan, np.inf
    asked: dict[str, Any] = {
        "factors": ["lr", "act"],
        "baseline": {"lr": 0.01, "act": "none"},
        "study": "table",
    }
    first = Study.from_frame(rows, replicate="seed", metric="acc", **asked)
    kept = first.report(tmp_path).parent / "table" / "runs.csv"
    again = Study.from_csv(kept, replicate="replicate", metric="acc", **asked)
    for name in ("main", "comparisons"):
        assert again.markdown(name) == first.markdown(name)
