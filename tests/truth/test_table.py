"""The documentation lists what is supported, and what is refused: every case, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from tests.truth.project.truth_modules import CASES, REFUSED, Case

PAGE = Path(__file__).resolve().parents[2] / "docs" / "bring-your-own.md"
THEMES = ("schedules", "optimisation", "hooks", "callbacks", "layers", "data", "tasks")
HERE = "../tests/truth/project/truth_modules"


def row(case: Case) -> str:
    return f"| {case.about} | [{case.name}]({HERE}/{case.theme}.py) |"


def test_the_page_has_a_row_for_every_case() -> None:
    text = PAGE.read_text(encoding="utf-8")
    found = [line for line in text.splitlines() if re.search(r"\| \[\w+\]\(.*\) \|$", line)]
    supported = [row(case) for theme in THEMES for case in CASES.values() if case.theme == theme]
    assert found == [*supported, *map(row, REFUSED.values())]
    assert {case.theme for case in CASES.values()} == set(THEMES)
