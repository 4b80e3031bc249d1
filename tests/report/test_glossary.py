"""One glossary: its page is current, its anchors are stable, and it has every verdict."""

from __future__ import annotations

from pathlib import Path

from ablation_lab.report.glossary import glossary, words_page
from ablation_lab.statistics.comparisons import Standing
from ablation_lab.statistics.reference_values import Word

PAGE = Path(__file__).resolve().parents[2] / "docs" / "words.md"
SAID_AS = {Standing.BETTER: "higher and lower, better and worse",
           Standing.WORSE: "higher and lower, better and worse",
           Word.LOST: "not attempted"}  # fmt: skip


def test_the_page_of_words_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == words_page(), (
        "docs/words.md is out of date: write words_page() of ablation_lab.report.glossary into it"
    )


def test_every_verdict_has_its_word() -> None:
    known = {term.word for term in glossary()}
    assert {SAID_AS.get(each, each.value) for each in (*Standing, *Word)} <= known


def test_anchors_that_pages_link_to_stay_what_they_are() -> None:
    anchors = [term.anchor for term in glossary()]
    assert len(set(anchors)) == len(anchors)
    assert set(anchors) >= {"95--interval", "needs-n", "margin-of-equivalence", "not-converged"}
