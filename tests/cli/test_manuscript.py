"""What the page of manuscripts shows, checked against a report that the lab wrote."""

from __future__ import annotations

import re

from tests.cli.lab import ROOT, Call, Finished

ENDINGS = {"latex": "tex", "typst": "typ", "markdown": "md"}
BLOCK = re.compile(r"```(latex|typst|markdown)\n(.*?)```", re.DOTALL)


def test_the_manuscripts_of_the_page_are_checked(finished: Finished, forked_call: Call) -> None:
    folder = finished.lab.folder
    page = (ROOT / "docs" / "manuscript.md").read_text(encoding="utf-8")
    files = []
    for language, text in BLOCK.findall(page):
        files.append(f"paper.{ENDINGS[language]}")
        (folder / files[-1]).write_text(text.replace("quick", "smoke"), encoding="utf-8")
    assert f"ablation check {' '.join(files)}" in page
    done = forked_call(folder, "check", *files)
    # Three texts have 100 runs, of which the short profile has two; "all" is no number.
    *stale, last = done.out.splitlines()
    assert (done.status, done.err) == (1, "")
    assert [line.partition(":")[0] for line in stale] == [*files, "paper.md"]
    assert all("written 100, now 2" in line for line in stale[:3])
    assert "written all, now " in stale[3]
    assert last == "9 numbers in 7 files, against profile smoke: 4 stale"
