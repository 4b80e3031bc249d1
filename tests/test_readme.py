"""The README keeps its word: code runs, examples are the files, links lead somewhere."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(?:yaml|python)\n(.*?)```", README, flags=re.DOTALL)
ORDER = [(a, i) for a in ("sigmoid", "relu") for i in ("normal", "xavier_uniform", "he_normal")]


def read(name: str) -> list[dict[str, str]]:
    with (ROOT / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_doctests_pass() -> None:
    command = [sys.executable, "-W", "ignore", "-m", "doctest", "README.md"]
    result = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("name", ["study/width.yaml", "study/my_study.yaml", "my_package.py"])
def test_examples_are_shown_as_they_are(name: str) -> None:
    text = (ROOT / "docs" / "examples" / name).read_text(encoding="utf-8")
    assert text.rstrip() in [block.rstrip() for block in BLOCKS]


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"\bmake ([a-z]+)", README))
    assert {"ablation", "serve", "paper"} <= named
    assert {target for target in named if not re.search(rf"^{target}:", makefile, re.M)} == set()


def test_the_xor_table_is_that_of_the_committed_runs() -> None:
    cells = read("docs/results/quick/xor_depth/cells.csv")
    found = {(c["depth"], c["activation"], c["init"]): c for c in cells}
    rows = re.findall(r"^\| (\d) \| ([\d |]+) \|$", README, flags=re.MULTILINE)
    assert [depth for depth, _ in rows] == ["1", "2", "3", "4", "9"]
    for depth, counts in rows:
        for shown, (activation, init) in zip(counts.split(" | "), ORDER, strict=True):
            cell = found.get((depth, activation, init)) or found[depth, "", init]
            assert (shown, cell["n"]) == (cell["successes"], "200")


def test_the_ladder_is_that_of_the_committed_runs() -> None:
    table = (ROOT / "docs/results/paper/ladder/table_main.md").read_text(encoding="utf-8")
    lines = [line for line in table.splitlines() if line.startswith("|")]
    assert len(lines) == 10
    assert "\n".join(lines) in README
