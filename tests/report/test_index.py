"""The index shows what the report folder holds now, whichever call wrote it."""

from __future__ import annotations

import html
import shutil
from pathlib import Path

from ablation_lab.report.findings import finding
from ablation_lab.report.report import write_report
from ablation_lab.report.study import Study
from tests.report.pages import Reader


def test_the_index_tells_of_every_study_that_the_folder_holds_and_of_no_other(
    studies: dict[str, Study], tmp_path: Path
) -> None:
    first, second = studies["ladder"], studies["keep_prob"]
    write_report([first, second], profile="quick", reports=tmp_path)
    index = write_report([first], profile="quick", reports=tmp_path, beside=True)
    text = index.read_text(encoding="utf-8")
    page = Reader(text)
    assert {"#ladder", "keep_prob.html", "keep_prob.html#keep_prob-problems"} <= set(page.links)
    assert html.escape(finding(second)) in text
    runs = sum(len(study.frame) for study in (first, second))
    assert f'<td>all</td><td class="number">{runs}</td>' in text

    shutil.rmtree(index.parent / "keep_prob")
    again = write_report([first], profile="quick", reports=tmp_path, beside=True)
    assert "keep_prob" not in again.read_text(encoding="utf-8")
    assert not (again.parent / "keep_prob.html").exists()


def test_a_study_whose_summary_is_damaged_keeps_its_page(
    studies: dict[str, Study], tmp_path: Path
) -> None:
    chosen = [studies["ladder"], studies["keep_prob"]]
    folder = write_report(chosen, profile="quick", reports=tmp_path).parent
    (folder / "keep_prob" / "summary.json").write_text("{", encoding="utf-8")
    index = write_report(chosen[:1], profile="quick", reports=tmp_path, beside=True)
    page = Reader(index.read_text(encoding="utf-8"))
    assert "keep_prob.html" in page.links
    assert page.open == []
