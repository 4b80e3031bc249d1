"""The report folder: complete, the same twice, and never half replaced."""

from __future__ import annotations

import csv
import filecmp
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import ablation_lab
from ablation_lab.report.__main__ import main
from ablation_lab.report.formatting import DASH
from ablation_lab.report.publishing import published_cells
from ablation_lab.report.report import TEMPLATES, ReportError, write_report
from ablation_lab.report.study import Study, load
from tests.report.golden_store import Writer, accuracy, declaration, grid
from tests.report.pages import Reader

STATUSES = {"finished", "failed", "skipped", "missing"}


@pytest.fixture(scope="module")
def report(studies: dict[str, Study], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden report."""
    reports = tmp_path_factory.mktemp("reports")
    index = write_report(list(studies.values()), profile="quick", reports=reports)
    return index.parent


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_every_promised_file_is_there(report: Path, studies: dict[str, Study]) -> None:
    assert {"index.html", "values.csv", "paper.pdf"} <= files(report)
    for name in studies:
        found = files(report / name)
        assert {"runs.csv", "cells.csv"} <= found
        assert {f"{name}.html", f"{name}.pdf"} <= files(report)
        for ending in ("md", "tex", "csv"):
            assert f"table_main.{ending}" in found
        for ending in ("svg", "png"):
            assert f"figure_points.{ending}" in found
    assert sorted(path.name for path in report.parent.iterdir()) == ["quick"]


def test_runs_csv_has_one_row_per_declared_run(report: Path, studies: dict[str, Study]) -> None:
    for name, study in studies.items():
        rows = read(report / name / "runs.csv")
        assert len(rows) == sum(len(cell.runs) for cell in study.declaration.cells)
        assert {row["status"] for row in rows} <= STATUSES
        assert len({(row["cell"], row["replicate"]) for row in rows}) == len(rows)
        assert {"run_id", "train_loss", "val_accuracy", "test_accuracy"} <= set(rows[0])
        assert {"not_converged", "steps", "seconds", "trainer", "device"} <= set(rows[0])
        rules = study.frame["not_converged"].tolist()
        assert [row["not_converged"] for row in rows] == rules


def test_cells_csv_keeps_full_precision(report: Path, studies: dict[str, Study]) -> None:
    for name, study in studies.items():
        rows = read(report / name / "cells.csv")
        found = [float(row["estimate"] or "nan") for row in rows]
        np.testing.assert_array_equal(found, study.cells["estimate"])
        for row in rows:
            if row["low"]:
                assert float(row["low"]) <= float(row["estimate"]) <= float(row["high"])


def test_values_csv_has_every_reference_value(report: Path) -> None:
    rows = read(report / "values.csv")
    assert [row["id"] for row in rows] == [
        "s1-dropout", "s1-mlp", "s1-softmax", "s1-xavier", "s2-keep",
    ]  # fmt: skip
    assert list(rows[0]) == [
        "id", "kind", "printed", "n", "estimate", "low", "high", "verdict", "p", "power",
        "study", "note",
    ]  # fmt: skip


def test_pages_lead_to_each_other_and_to_every_run_and_need_no_network(
    report: Path, studies: dict[str, Study]
) -> None:
    pages = {path.name: Reader(path.read_text(encoding="utf-8")) for path in report.glob("*.html")}
    over_all = {"index.html", "values.html", "methods.html", "provenance.html"}
    assert set(pages) == over_all | {f"{name}.html" for name in studies}
    for name, page in pages.items():
        assert page.open == []
        assert all((report / source).suffix == ".svg" for source in page.sources)
        for link in {*page.links, *page.sources}:
            file, _, anchor = link.partition("#")
            if not link.startswith(("data:,", "http://127.0.0.1:5000/mlflow/#/")):
                assert (report / (file or name)).is_file()
                assert not anchor or anchor in pages[file or name].anchors
    assert "methods.html#word-not-converged" in pages["keep_prob.html"].links
    assert {page for page in pages if page in pages["index.html"].links} == set(pages)
    for study in studies.values():
        root = f"http://127.0.0.1:5000/mlflow/#/experiments/{study.experiment_id}/runs"
        for run in study.frame.loc[study.frame["run_id"] != "", "run_id"]:
            assert (
                f"{root}/{run}?workflowType=machine_learning" in pages[f"{study.name}.html"].links
            )


def test_a_page_names_what_went_wrong_and_escapes_it(report: Path) -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in report.glob("*.html"))
    assert "out of &lt;memory&gt;" in text
    assert "out of <memory>" not in text
    for words in ("excluded: never trains", "2 finished runs", "still running or killed", "abc123",
                  "declare 142 runs", "4/10 not converged"):  # fmt: skip
        assert words in text


def test_the_same_store_gives_the_same_bytes(report: Path, golden_uri: str, tmp_path: Path) -> None:
    again = write_report(load(golden_uri, "quick"), profile="quick", reports=tmp_path).parent
    assert files(again) == files(report)
    _, different, errors = filecmp.cmpfiles(report, again, sorted(files(report)), shallow=False)
    assert (different, errors) == ([], [])


def test_a_broken_template_leaves_the_old_report(studies: dict[str, Study], tmp_path: Path) -> None:
    old = tmp_path / "quick"
    old.mkdir()
    (old / "index.html").write_text("old", encoding="utf-8")
    templates = tmp_path / "templates"
    shutil.copytree(TEMPLATES, templates)
    (templates / "index.html.j2").write_text("{{ page.nothing }}", encoding="utf-8")
    one = [studies["ladder"]]
    with pytest.raises(ReportError, match=r"template index\.html\.j2: .*nothing.*repair"):
        write_report(one, profile="quick", reports=tmp_path, templates=templates)
    assert (old / "index.html").read_text(encoding="utf-8") == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["quick", "templates"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("index.html.j2", "{% if %}", "template index.html.j2, line 1"),
        ("paper.typ", "#unknown", "template paper.typ: unknown variable"),
    ],
)
def test_a_template_that_does_not_work_ends_the_command_with_one_line(
    golden_uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, *, name: str, text: str, words: str,
) -> None:  # fmt: skip
    templates = tmp_path / "templates"
    shutil.copytree(TEMPLATES, templates)
    (templates / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(
        "ablation_lab.report.__main__.write_report", partial(write_report, templates=templates)
    )
    reports = tmp_path / "r"
    arguments = ["--store", golden_uri, "--profile", "quick", "--reports", str(reports)]
    assert main([*arguments, "--studies", "ladder"]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert list(reports.iterdir()) == []


def test_a_store_that_is_no_database_ends_the_command_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mlflow.db").write_text("no database\n" * 200, encoding="utf-8")
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert main(["--store", store, "--profile", "quick", "--reports", str(tmp_path / "r")]) == 2
    error = capsys.readouterr().err
    assert f"store {store} cannot be read" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "r").exists()


def test_an_empty_store_gives_a_report_that_says_so(
    new_writer: Callable[[], Writer], tmp_path: Path
) -> None:
    index = write_report(load(new_writer().uri, "quick"), profile="quick", reports=tmp_path / "r")
    assert "declares no study" in index.read_text(encoding="utf-8")
    assert not (index.parent / "values.csv").exists()


def test_nothing_run_one_replicate_and_no_finite_value(
    new_writer: Callable[[], Writer], tmp_path: Path
) -> None:
    writer, factors = new_writer(), {"width": ["4", "8", "16"]}
    for study, metric in (("half", "test_accuracy"), ("none", "success")):
        made = declaration(
            study, "quick", factors=factors, cells=grid(factors), replicates=1, metric=metric
        )
        writer.declare(made)
        if study == "half":
            writer.run(made, "width=4", 0, metrics=accuracy(0.9))
            lost = dict.fromkeys(accuracy(0), float("nan"))
            writer.run(made, "width=8", 0, metrics=lost, rule="non_finite")
    index = write_report(load(writer.uri, "quick"), profile="quick", reports=tmp_path / "r")
    text = (index.parent / "none.html").read_text(encoding="utf-8")
    assert "no experiment none.replicates" in text
    rows = {row["cell"]: row for row in read(index.parent / "half" / "cells.csv")}
    assert (rows["width=4"]["n"], rows["width=4"]["interval"]) == ("1", "none (one run)")
    assert (rows["width=8"]["estimate"], rows["width=8"]["not_converged"]) == ("0.1", "1")
    assert rows["width=16"]["estimate"] == ""


def test_the_command_prints_one_line_per_study(
    golden_uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--store", golden_uri, "--profile", "quick", "--reports", str(tmp_path)]
    assert main([*arguments, "--studies", "ladder"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ladder: 9 of 12 runs finished", str(tmp_path / "quick" / "index.html"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["--store", "runs/mlflow.db"], "is no address"),
        (["--store", "sqlite:///nowhere/mlflow.db"], "run a study first"),
        (["--studies", "lader"], "no study 'lader'"),
    ],
)
def test_bad_input_is_one_line_and_exit_two(
    golden_uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    changes: list[str], words: str,
) -> None:  # fmt: skip
    arguments = ["--store", golden_uri, "--profile", "quick", "--reports", str(tmp_path / "r")]
    assert main([*arguments, *changes]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "r").exists()


def test_what_is_published_is_finite_and_complete(studies: dict[str, Study]) -> None:
    study = studies["keep_prob"]
    cells = published_cells(study)
    assert list(cells) == list(study.cells["cell"])
    fifth, sixth = list(cells.values())[4:6]
    # Those that did not converge count as they ended.
    assert (fifth.numbers["n"], fifth.numbers["not_converged"]) == (10.0, 4.0)
    assert fifth.text.startswith("test accuracy (%) ")
    # No run of it finished.
    assert study.declaration.metric not in sixth.numbers
    assert sixth.text == f"test accuracy (%) {DASH}"


def test_the_package_names_what_it_has() -> None:
    with pytest.raises(AttributeError, match="no attribute 'plot'"):
        _ = ablation_lab.plot
