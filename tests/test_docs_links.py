"""What the documents link to is there, and the committed results stay small enough to clone."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
# Below a profile's folder are tables as a report writes them, which link to nothing.
PAGES = [
    *ROOT.glob("*.md"),
    *(
        page
        for page in (ROOT / "docs").rglob("*.md")
        if RESULTS not in page.parents or page.parent == RESULTS
    ),
]
LINK = re.compile(r"\]\((?![a-z]+:)([^)#\s]+)")
MOST_BYTES = 12_000_000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files(page: Path) -> None:
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_pages_and_links_are_found() -> None:
    names = {page.relative_to(ROOT).as_posix() for page in PAGES}
    assert {"README.md", "CONTRIBUTING.md", "docs/design.md", "docs/results/README.md"} <= names
    assert any(name.startswith("docs/decisions/") for name in names)
    said = "[a](b/c.md#d) ![e](f.svg) [g](https://h) [i](#j)"
    assert LINK.findall(said) == ["b/c.md", "f.svg"]


def test_committed_results_are_small() -> None:
    assert sum(path.stat().st_size for path in RESULTS.rglob("*") if path.is_file()) <= MOST_BYTES
