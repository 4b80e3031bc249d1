"""The document: what page and paper say beyond tables, and where their links lead."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ablation_lab.report import text as literal
from ablation_lab.report.cautions import changed_settings, common_settings, confounded, threats
from ablation_lab.report.document import section
from ablation_lab.report.methods import cited, facts, methods
from ablation_lab.report.publishing import publish_cells
from ablation_lab.report.reference_tables import all_values
from ablation_lab.report.reference_values import answers, value_table
from ablation_lab.report.report import (
    write_report,
)
from ablation_lab.report.study import Study, load
from ablation_lab.statistics.costs import duration
from ablation_lab.store.pages import Server
from ablation_lab.study.declaration import parse
from tests.report.golden_store import Writer, accuracy, declaration, grid

CONFIGS = (
    {"model": {"widths": [4], "keep_prob": 1.0}, "data": {"name": "xor"}},
    {"model": {"widths": [4, 4], "keep_prob": 1.0}, "data": {"name": "xor"}},
    {"model": {"widths": [4], "keep_prob": 0.5}, "data": {"name": "xor"}},
)


def steps(new_writer: Callable[[], Writer]) -> tuple[Writer, dict[str, object]]:
    """A ladder of three steps, the last of which changes two settings at once."""
    writer, factors = new_writer(), {"step": ["small", "deep", "dropout"]}
    cells = grid(factors)
    for cell, config in zip(cells, CONFIGS, strict=True):
        cell["config"] = config
    made = declaration(
        "steps", "quick", factors=factors, cells=cells, replicates=2, metric="test_accuracy",
        baseline=cells[0]["cell"],
        data=[{"name": "xor", "about": "four rows", "checksum": "ab" * 32, "test_is_train": True}],
    )  # fmt: skip
    writer.declare(made)
    return writer, made


def test_threats_follow_from_configurations_data_and_outcomes(
    new_writer: Callable[[], Writer],
) -> None:
    writer, made = steps(new_writer)
    for replicate, value, rule in ((0, 0.8, ""), (1, 0.11, "loss_at_chance")):
        writer.run(made, "step=small", replicate, metrics=accuracy(value), rule=rule)
        writer.run(made, "step=deep", replicate, metrics=accuracy(0.9))
    writer.run(made, "step=dropout", 0, metrics=accuracy(0.9))
    (study,) = load(writer.uri, "quick")
    assert confounded(study.declaration) == {
        "step: deep → dropout": ("model.keep_prob", "model.widths")
    }
    said = " ".join(threats(study))
    for words in (
        "1 of 6 declared runs are missing",
        "1 cell has a single run: no interval",
        "1 of 2 comparisons have fewer than the 6 replicates",
        "t tests, which assume normal spread",
        "On xor the training set is the test set",
        "1 of 5 finished runs did not converge: 1 because the final training loss",
    ):
        assert words in said


def test_settings_are_compared_key_by_key() -> None:
    assert changed_settings(CONFIGS[0], CONFIGS[0]) == ()
    assert changed_settings(CONFIGS[0], CONFIGS[1]) == ("model.widths",)
    assert changed_settings(CONFIGS[0], {"model": {"widths": [4]}}) == (
        "data.name", "model.keep_prob",
    )  # fmt: skip


def test_provenance_says_what_is_shared_once(new_writer: Callable[[], Writer]) -> None:
    writer, made = steps(new_writer)
    writer.run(made, "step=small", 0, metrics=accuracy(0.8))
    (study,) = load(writer.uri, "quick")
    assert common_settings(study.declaration) == {"data.name": "xor"}
    other = replace(
        study,
        declaration=study.declaration.model_copy(
            update={
                "study": "other",
                "provenance": {"commit": "fff", "versions": {"torch": "2.13"}},
            }
        ),
    )
    found = dict(facts([study, other], profile="quick"))
    assert found["commit"] == "steps: abc123; other: fff"
    assert found["versions.torch"] == "2.13"
    assert found["data xor"] == "four rows (identity abababababababab)"
    assert found["time of steps"].startswith("1.5 s in 1 runs, 100 steps")
    assert "study=[steps,other]" in found["command"]
    assert [duration(s) for s in (5, 300, 9000)] == ["5.0 s", "5.0 min", "2.5 h"]


def test_what_trained_the_runs_is_said_with_how_many_where_it_differs(
    new_writer: Callable[[], Writer],
) -> None:
    writer, made = steps(new_writer)
    writer.run(made, "step=small", 0, metrics=accuracy(0.8))
    writer.run(made, "step=small", 1, metrics=accuracy(0.8), device="cuda:0")
    (study,) = load(writer.uri, "quick")
    said = dict(facts([study], profile="quick"))["time of steps"]
    assert said.endswith(", trained stacked, on cpu (1) and cuda:0 (1)")


def test_methods_name_only_what_was_used(studies: dict[str, Study]) -> None:
    xor, ladder = methods([studies["xor_depth"]]), methods([studies["ladder"]])
    assert any("Wilson" in line for line in xor)
    assert not any("Wilson" in line for line in ladder)
    works = cited([studies["xor_depth"]])
    line = next(line for line in xor if "Wilson" in line)
    number = int(line.rsplit("[", 1)[1].rstrip("]"))
    assert "Wilson" in works[number - 1].text


def test_links_are_those_that_the_service_shows(golden_uri: str, tmp_path: Path) -> None:
    from ablation_lab.service.drawing import links

    copy = tmp_path / "mlflow.db"
    copy.write_bytes(Path(golden_uri.removeprefix("sqlite:///")).read_bytes())
    uri = f"sqlite:///{copy}"
    study = publish_cells(*load(uri, "quick", only=["ladder"]), uri)
    assert set(study.published.cell_runs) == {c.cell for c in study.declaration.cells}
    server = Server("http://127.0.0.1:5000")
    served = [link.address for link in section(study, (), (), server=server).served]
    (shown,) = links(uri, "http://127.0.0.1:5000").values()
    assert served == [link.address for link in shown]
    (again,) = load(uri, "quick", only=["ladder"])
    assert again.published == study.published


def test_nothing_published_means_no_links() -> None:
    assert Server("http://127.0.0.1:5000").study("3", [], "quick") == ()


def test_reference_values_that_no_study_of_the_report_answers_are_rows_that_say_so(
    studies: dict[str, Study],
) -> None:
    values = value_table(answers(list(studies.values()))).assign(verdict="not attempted")
    table = all_values(values)
    assert table is not None
    assert [row[6].text for row in table.rows] == ["not attempted"] * len(values)
    assert all_values(values[:0]) is None


@pytest.mark.parametrize("installed", [True, False])
def test_korean_texts_are_set_or_their_font_is_named_as_missing(
    new_writer: Callable[[], Writer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    installed: bool,
) -> None:  # fmt: skip
    writer, factors = new_writer(), {"width": ["4", "8"]}
    made = declaration("korean", "quick", factors=factors, cells=grid(factors), replicates=1,
                       metric="test_accuracy", question="활성화 함수가 중요한가?")  # fmt: skip
    writer.declare(made)
    if not installed:
        monkeypatch.setattr("ablation_lab.report.document.korean_font", lambda: None)
        monkeypatch.setattr("ablation_lab.report.paper.korean_font", lambda: None)
    elif literal.korean_font() is None:
        pytest.skip("no Korean font is installed (koreanize-matplotlib or fonts-nanum)")
    index = write_report(load(writer.uri, "quick"), profile="quick", reports=tmp_path / "r")
    text = index.read_text(encoding="utf-8")
    assert "활성화 함수가 중요한가?" in text
    assert ("no Korean font was found" in text) is not installed
    assert (b"NanumGothic" in (index.parent / "paper.pdf").read_bytes()) is installed


def test_latin_texts_need_no_korean_font() -> None:
    assert not literal.needs_korean(["init × activation", "n/c", "±"])
    assert literal.needs_korean(["plain", "깊이"])


def test_a_declaration_keeps_configurations_and_data(new_writer: Callable[[], Writer]) -> None:
    _, made = steps(new_writer)
    read = parse(json.dumps(made), "here")
    assert [cell.config for cell in read.cells] == list(CONFIGS)
    assert read.data[0].test_is_train
