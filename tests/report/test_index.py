"""The index shows what the report folder holds now, whichever call wrote it."""

from __future__ import annotations

import html
import re
import shutil
from pathlib import Path
from typing import Any

from ablation_lab.report.findings import finding
from ablation_lab.report.report import write_report
from ablation_lab.report.study import Study
from tests.report.pages import Reader


def cards(index: Path) -> list[str]:
    """The studies that have a card, in its order."""
    return re.findall(r'class="card" id="(\w+)"', index.read_text(encoding="utf-8"))


def test_the_index_tells_of_every_study_that_the_folder_holds_and_of_no_other(
    studies: dict[str, Study], tmp_path: Path
) -> None:
    first, second = studies["ladder"], studies["keep_prob"]
    write_report([first, second], profile="quick", reports=tmp_path)
    index = write_report([first], profile="quick", reports=tmp_path, beside=True)
    assert cards(index) == ["ladder", "keep_prob"]
    text = index.read_text(encoding="utf-8")
    page = Reader(text)
    assert {"ladder.html", "keep_prob.html", "keep_prob.html#to-know"} <= set(page.links)
    assert "keep_prob/figure_by_keep_prob.svg" in page.sources
    assert html.escape(finding(second).split(". ")[0]) in text
    assert html.escape(second.declaration.question) in text

    shutil.rmtree(index.parent / "keep_prob")
    again = write_report([first], profile="quick", reports=tmp_path, beside=True)
    assert "keep_prob" not in again.read_text(encoding="utf-8")
    assert not (again.parent / "keep_prob.html").exists()


def test_cards_stand_in_the_order_of_the_project_whichever_call_wrote_them(
    studies: dict[str, Study], tmp_path: Path
) -> None:
    order = ("xor_depth", "unknown", "ladder")
    given: dict[str, Any] = {"profile": "quick", "reports": tmp_path, "order": order}
    write_report([studies["keep_prob"], studies["xor_depth"]], **given)
    index = write_report([studies["ladder"]], **given, beside=True)
    assert cards(index) == ["xor_depth", "ladder", "keep_prob"]


def test_a_study_whose_summary_is_damaged_keeps_its_page(
    studies: dict[str, Study], tmp_path: Path
) -> None:
    chosen = [studies["ladder"], studies["keep_prob"]]
    folder = write_report(chosen, profile="quick", reports=tmp_path).parent
    (folder / "keep_prob" / "section.json").write_text("{", encoding="utf-8")
    index = write_report(chosen[:1], profile="quick", reports=tmp_path, beside=True)
    page = Reader(index.read_text(encoding="utf-8"))
    assert "keep_prob.html" in page.links
    assert page.open == []
