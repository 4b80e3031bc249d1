"""What MLflow's pages show of a study: its own metrics, each with its direction and format."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import nan
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from ablation_lab.store.publish import Publisher, Summary, run_names, saved_view
from ablation_lab.store.write import Tracker
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.declare import declaration_of, declare
from ablation_lab.study.factor import FactorRole
from ablation_lab.study.schema import parse_study

OWN = [
    {"name": "perplexity", "direction": "minimize", "kind": "loss", "format": ".3f"},
    {"name": "val/f1", "direction": "maximize", "label": "F1 on validation"},
]
WORDS = "perplexity 3.250 [3.125, 3.375]; F1 on validation 0.5"


@pytest.fixture
def declared(new_declaration: Callable[[], dict[str, Any]]) -> Callable[..., Declaration]:
    """Return a function that declares the small study, with metrics of its own or others."""

    def make(metrics: list[Any] = OWN) -> Declaration:
        content = {**new_declaration(), "metrics": metrics}
        del content["metric"]
        return declaration_of(declare(parse_study("small", content), "smoke"), {})

    return make


def summaries(declaration: Declaration, estimate: float = 3.25) -> dict[str, Summary]:
    estimates = {"perplexity": (estimate, 3.125, 3.375), "val/f1": (0.5, nan, nan)}
    counts = {"n": 3.0, "not_converged": 1.0}
    return {cell.cell: Summary(estimates, counts, WORDS) for cell in declaration.cells}


@pytest.fixture
def publisher(store: str, tmp_path: Path) -> Publisher:
    # The experiment and its place for files come with the declaration.
    Tracker(store, tmp_path / "artifacts").declare("small", "smoke", {"question": "Why?"})
    return Publisher(store)


def cell_runs(store: str) -> dict[str, Run]:
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.`ablation.kind` = 'cell'")
    assert len(runs) == len({run.info.run_name for run in runs})
    return {str(run.info.run_name): run for run in runs}


def test_a_view_follows_the_metrics_that_a_study_declares(
    declared: Callable[..., Declaration], publisher: Publisher, store: str
) -> None:
    publisher.publish_cells(declared(), summaries(declared()))
    experiment = MlflowClient(store).get_experiment_by_name("small")
    assert experiment is not None
    view = json.loads(experiment.tags["mlflow.sharedViewState.smoke"])
    assert view == saved_view(declared())
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`perplexity`", True)
    assert view["selectedColumns"] == [
        "metrics.`perplexity`",
        "metrics.`val/f1`",
        "metrics.`not_converged`",
        "params.`width`",
        "params.`activation`",
        "attributes.`Description`",
    ]
    assert [chart["metricKey"] for chart in view["compareRunCharts"]] == ["perplexity", "val/f1"]
    sections = {section["uuid"]: section["name"] for section in view["compareRunSections"]}
    assert [sections[chart["metricSectionId"]] for chart in view["compareRunCharts"]] == [
        "perplexity (less is better)",
        "F1 on validation (more is better)",
    ]
    best_first = saved_view(declared(metrics=["test_accuracy"]))
    assert (best_first["orderByKey"], best_first["orderByAsc"]) == (
        "metrics.`test_accuracy`",
        False,
    )


def test_a_cell_run_has_every_metric_and_what_is_not_finite_in_none(
    declared: Callable[..., Declaration], publisher: Publisher, store: str
) -> None:
    publisher.publish_cells(declared(), summaries(declared()))
    run = cell_runs(store)["small · relu"]
    assert run.data.metrics == {
        "perplexity": 3.25,
        "perplexity/low": 3.125,
        "perplexity/high": 3.375,
        "val/f1": 0.5,
        "n": 3.0,
        "not_converged": 1.0,
    }
    assert run.data.params == {"width": "small", "activation": "relu"}
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith(f"{WORDS}\n\n[Its replicates](#/experiments/")
    assert note.count("?workflowType=machine_learning&") == 2
    assert run.info.status == "FINISHED"


def test_estimates_are_short_and_a_run_lasts_as_long_as_its_replicates(
    declared: Callable[..., Declaration], publisher: Publisher, store: str
) -> None:
    cells = {
        cell: replace(found, estimates={"perplexity": (2 / 3, 0.5, 12345.0)}, seconds=7.5)
        for cell, found in summaries(declared()).items()
    }
    publisher.publish_cells(declared(), cells)
    run = cell_runs(store)["small · relu"]
    assert run.data.metrics["perplexity"] == 0.6667
    assert run.data.metrics["perplexity/high"] == 12345
    assert run.info.end_time - run.info.start_time == 7500


def test_what_did_not_change_is_not_written_again(
    declared: Callable[..., Declaration], publisher: Publisher, store: str
) -> None:
    publisher.publish_cells(declared(), summaries(declared()))
    before = cell_runs(store)["small · relu"].info.run_id
    publisher.publish_cells(declared(), summaries(declared()))
    assert len(MlflowClient(store).get_metric_history(before, "perplexity")) == 1


def test_a_cell_has_files_of_its_own(
    declared: Callable[..., Declaration], publisher: Publisher, store: str, tmp_path: Path
) -> None:
    publisher.publish_cells(declared(), summaries(declared()))
    own = tmp_path / "own"
    own.mkdir()
    (own / "runs.csv").write_text("replicate\n0\n", encoding="utf-8")
    publisher.illustrate(declared(), {"width=small,activation=relu": own})
    client, runs = MlflowClient(store), cell_runs(store)
    found = {name: client.list_artifacts(run.info.run_id) for name, run in runs.items()}
    assert {name: [f.path for f in files] for name, files in found.items() if files} == {
        "small · relu": ["runs.csv"]
    }


def test_cells_that_compared_factors_do_not_tell_apart_are_called_by_all_their_levels(
    declared: Callable[..., Declaration],
) -> None:
    declaration = declared()
    assert set(run_names(declaration).values()) >= {"small · relu"}
    fixed = [f.model_copy(update={"role": FactorRole.FIXED}) for f in declaration.factors[1:]]
    other = declaration.model_copy(update={"factors": (declaration.factors[0], *fixed)})
    assert set(run_names(other).values()) >= {"small · relu"}


def test_publishing_again_updates_the_same_cells_and_drops_others(
    declared: Callable[..., Declaration], publisher: Publisher, store: str
) -> None:
    declaration = declared()
    publisher.publish_cells(declaration, summaries(declaration))
    before = {name: run.info.run_id for name, run in cell_runs(store).items()}
    fewer = declaration.model_copy(update={"cells": declaration.cells[1:], "baseline": None})
    other = declaration.model_copy(update={"profile": "quick"})
    publisher.publish_cells(fewer, summaries(fewer, estimate=3.0))
    after = cell_runs(store)
    assert set(after) == set(before) - {run_names(declaration)[declaration.cells[0].cell]}
    assert all(run.info.run_id == before[name] for name, run in after.items())
    assert {run.data.metrics["perplexity"] for run in after.values()} == {3.0}
    publisher.publish_cells(other, summaries(other))
    assert len(publisher.cell_runs("small", "smoke")) == 3
    assert len(publisher.cell_runs("small", "quick")) == 4


def test_a_study_that_is_measured_otherwise_keeps_no_number_of_before(
    declared: Callable[..., Declaration], publisher: Publisher, store: str
) -> None:
    publisher.publish_cells(declared(), summaries(declared()))
    now = declared(metrics=["success"])
    cells = {cell.cell: Summary({"success": (0.5, 0.2, 0.8)}, {"n": 3.0}) for cell in now.cells}
    publisher.publish_cells(now, cells)
    assert {tuple(sorted(run.data.metrics)) for run in cell_runs(store).values()} == {
        ("n", "success", "success/high", "success/low")
    }


def test_two_publishers_at_once_leave_one_run_for_each_cell(
    declared: Callable[..., Declaration], publisher: Publisher, store: str
) -> None:
    with ThreadPoolExecutor(3) as pool:
        list(
            pool.map(
                lambda each: each.publish_cells(declared(), summaries(declared())),
                [publisher, Publisher(store), Publisher(store)],
            )
        )
    assert len(cell_runs(store)) == 4


def test_files_of_a_report_are_artifacts_of_its_run(
    publisher: Publisher, store: str, tmp_path: Path
) -> None:
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "paper.pdf").write_bytes(b"%PDF")
    (tmp_path / "index.html").write_text("<html></html>", encoding="utf-8")
    publisher.publish_report("small", "smoke", [folder, tmp_path / "index.html"])
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    (report,) = client.search_runs([experiment.experiment_id], "tags.`ablation.kind` = 'report'")
    files = client.list_artifacts(report.info.run_id, "report")
    assert [file.path for file in files] == ["report/index.html", "report/paper.pdf"]
