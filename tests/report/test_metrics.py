"""Any metric: its label, format, kind and direction decide tables, axes, curves and verdicts."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ablation_lab.report.contrast_rows import contrasts
from ablation_lab.report.figures import figures_for, points
from ablation_lab.report.files import write_study
from ablation_lab.report.formatting import label_of, measured_text, metric_label
from ablation_lab.report.study import Study, load
from ablation_lab.report.tables import cell_table, pivot_table
from ablation_lab.statistics.reference_values import metric_named
from ablation_lab.study.metric import Metric
from tests.report.golden_store import START, Writer, declaration, grid

F1 = {"name": "f1", "direction": "maximize", "kind": "share", "format": ".3f", "label": "macro F1"}
LATENCY = {"name": "latency", "direction": "minimize", "kind": "plain", "format": ".1f"}
ERRORS = {"name": "errors", "direction": "minimize", "kind": "count"}
RECALL = {"name": "recall", "direction": "maximize", "kind": "share"}
SIZES = ("small", "large")


def study(writer: Writer, *metrics: dict[str, str]) -> Study:
    """Two cells of eight runs each; the large one has a higher F1, and is slower."""
    factors = {"size": list(SIZES)}
    made = declaration(
        "own", "quick", factors=factors, cells=grid(factors), replicates=8, metric="f1",
        chance=None, baseline="size=small", metrics=list(metrics),
    )  # fmt: skip
    writer.declare(made)
    for position, size in enumerate(SIZES):
        for r in range(8):
            values = {
                "f1": 0.8 + 0.05 * position + 0.001 * r, "latency": 10.0 + 5 * position + 0.1 * r,
                "errors": 20.0 - 3 * position - r % 2, "recall": 0.7 + 0.01 * position,
            }  # fmt: skip
            run = writer.run(made, f"size={size}", r, metrics=values)
            for step in (1, 10):
                writer.client.log_metric(run, "val_f1", 0.5 + step / 100, START, step)
    return load(writer.uri, "quick")[0]


def texts(table: Any) -> list[list[str]]:
    return [[entry.text for entry in row] for row in table.rows]


@pytest.mark.parametrize(
    ("primary", "label", "estimate", "verdict"),
    [
        (F1, "macro F1", "0.854 ± 0.002 (8)", "better"),
        (LATENCY, "latency", "15.3 ± 0.2 (8)", "worse"),
        (ERRORS, "errors", "16.50 ± 0.45 (8)", "better"),
        (RECALL, "recall (%)", "71.0 ± 0.0 (8)", "better"),
    ],
)
def test_a_metric_is_printed_and_judged_as_it_is_described(
    new_writer: Callable[[], Writer], primary: dict[str, str], label: str, estimate: str,
    verdict: str,
) -> None:  # fmt: skip
    made = study(new_writer(), primary)
    assert metric_label(made.declaration) == label
    assert pivot_table(made).header[-1][-1] == label
    assert texts(pivot_table(made))[1][-1].startswith(estimate.split(" ±", maxsplit=1)[0])
    assert points(made).get_xlabel() == f"{label}, 95 % interval"
    (row,) = contrasts(made).to_dict("records")
    assert (row["metric"], row["verdict"]) == (primary["name"], verdict)


def test_further_metrics_are_columns_of_the_table_and_rows_of_the_file(
    new_writer: Callable[[], Writer], tmp_path: Path
) -> None:
    made = study(new_writer(), F1, LATENCY, RECALL)
    table = cell_table(made)
    assert table.header[-1][-2:] == ("latency", "recall (%)")
    small, large = texts(table)
    assert small[-2].startswith("10.3 [")
    assert large[-1] == "71.0 [71.0, 71.0] (8)"
    write_study(made, tmp_path / "own")
    with (tmp_path / "own" / "cells.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["cell"], row["metric"], row["n"]) for row in rows] == [
        (f"size={size}", name, "8") for name in ("f1", "latency", "recall") for size in SIZES
    ]
    assert all(float(r["low"]) <= float(r["estimate"]) <= float(r["high"]) for r in rows)


def test_a_further_metric_that_no_run_has_is_no_column(
    new_writer: Callable[[], Writer], tmp_path: Path
) -> None:
    made = study(new_writer(), F1, {"name": "lost", "direction": "maximize", "kind": "plain"})
    assert "lost" not in cell_table(made).header[-1]
    assert write_study(made, tmp_path / "own")[0]


def test_the_validation_curve_of_a_share_is_drawn_by_its_name(
    new_writer: Callable[[], Writer],
) -> None:
    made = study(new_writer(), F1)
    assert set(made.curves["metric"]) == {"val_f1"}
    ax = figures_for(made)["training"](made)
    assert ax.get_ylabel() == "validation f1"
    assert ax.get_ylim()[1] < 1  # its format is no percentage


@pytest.mark.parametrize(
    ("metric", "value", "text", "label"),
    [
        (F1, 0.98765, "0.988", "macro F1"),
        (RECALL, 0.98765, "98.77", "recall (%)"),
        (ERRORS, 12.0, "12", "errors"),
        (LATENCY, float("nan"), "–", "latency"),
    ],
)
def test_one_value_of_a_metric(metric: dict[str, str], value: float, text: str, label: str) -> None:
    described = Metric.model_validate(metric)
    assert measured_text(value, described, digits=2) == text
    assert label_of(described) == label


def test_what_is_a_share_follows_the_registry() -> None:
    names = ("test_accuracy", "val_accuracy", "success", "train_loss", "value_0", "nothing")
    known = [metric_named(name) for name in names]
    assert [bool(each and each.is_share) for each in known] == [True] * 3 + [False] * 3
    assert known[-1] is None
