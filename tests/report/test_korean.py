"""A study reported in Korean: what we say is Korean; what its user wrote and data are as before."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from ablation_lab.report.kept import Kept
from ablation_lab.report.report import write_report
from ablation_lab.report.study import Study

pytest.importorskip("koreanize_matplotlib", reason="figures need a font with Hangul")
HANGUL = re.compile("[가-힣]")
OURS = re.compile(r"[A-Za-z][a-z']+(?:,? [A-Za-z][a-z'-]+){2,}")  # three words that stand together
PAGES = ("index", "keep_prob", "methods", "values")
DATA = ("runs.csv", "cells.csv", "comparisons.csv")


@pytest.fixture(scope="module")
def folders(
    studies: dict[str, Study], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """The same studies in English, then in Korean, by one process."""
    reports = tmp_path_factory.mktemp("reports")
    chosen = [studies["keep_prob"], studies["ladder"]]
    return tuple(
        write_report(chosen, profile="quick", reports=reports / each, language=each).parent
        for each in ("en", "ko")
    )  # type: ignore[return-value]


def texts(page: Path) -> list[str]:
    """What a reader reads of a page, also on a button or of a picture."""
    text = re.sub(r"(?s)<(style|script)>.*?</\1>", "", page.read_text(encoding="utf-8"))
    named = re.findall(r'(?:alt|aria-label|title|placeholder)="([^"]*)"', text)
    return [html.unescape(each) for each in (*re.findall(r">([^<]+)<", text), *named)]


def test_no_sentence_of_ours_is_english(
    folders: tuple[Path, Path], studies: dict[str, Study]
) -> None:
    written = " ".join(study.declaration.model_dump_json() for study in studies.values())
    works = (folders[1] / "references.bib").read_text(encoding="utf-8")
    left = [
        (page.name, found)
        for page in (folders[1] / f"{each}.html" for each in PAGES)
        if page.exists()
        for text in texts(page)
        for found in OURS.findall(text)
        if not found.startswith("ablation ")  # a command
        if found not in written and found not in works
    ]
    assert not left


def test_pages_say_which_language_they_are_in(folders: tuple[Path, Path]) -> None:
    for folder, tag in zip(folders, ("en", "ko"), strict=True):
        assert f'<html lang="{tag}">' in (folder / "index.html").read_text(encoding="utf-8")
    assert not any(HANGUL.search(text) for text in texts(folders[0] / "methods.html"))


def test_data_files_are_the_same_in_every_language(folders: tuple[Path, Path]) -> None:
    english, korean = (folder / "keep_prob" for folder in folders)
    for name in (each for each in DATA if (english / each).exists()):
        assert (korean / name).read_bytes() == (english / name).read_bytes()
    assert HANGUL.search((korean / "table_main.md").read_text(encoding="utf-8"))


def test_what_was_written_in_one_language_is_not_taken_over_into_another(
    folders: tuple[Path, Path], studies: dict[str, Study]
) -> None:
    kept = Kept(folders[1]).summary("keep_prob")
    assert any(HANGUL.search(each.plain) for each in kept.said)
    write_report([studies["keep_prob"]], profile="quick", reports=folders[1].parent, beside=True)
    again = Kept(folders[1]).summary("keep_prob")
    assert not any(HANGUL.search(each.plain) for each in again.said)
