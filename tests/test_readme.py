"""The README keeps its word: code runs, examples are the files, numbers are those of the runs."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import yaml

import ablation_lab
from ablation_lab.cli import VERBS

ROOT = Path(__file__).resolve().parent.parent
KOREAN = (ROOT / "README.ko.md").read_text(encoding="utf-8")
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


def test_the_example_study_is_shown_as_it_is() -> None:
    text = (ROOT / "docs" / "examples" / "conf" / "study" / "width.yaml").read_text(
        encoding="utf-8"
    )
    assert text.rstrip() in [block.rstrip() for block in BLOCKS]


def test_what_is_shown_of_the_example_package_is_in_it_and_is_short() -> None:
    text = (ROOT / "docs" / "examples" / "my_package.py").read_text(encoding="utf-8")
    shown = [block for block in BLOCKS if re.match(r"@?(family|dataset)\(", block)]
    assert [block.split("(")[0] for block in shown] == ["@family", "dataset"]
    assert all(block in text for block in shown)
    assert sum(block.count("\n") for block in shown) <= 35


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"\bmake ([a-z]+)", README))
    assert {"ablation", "serve", "paper"} <= named
    assert {target for target in named if not re.search(rf"^{target}:", makefile, re.M)} == set()


def printed_in_deck_0() -> dict[tuple[str, str, str], float]:
    """Return the printed accuracies of the study's cells, by depth, activation and init."""
    text = (ROOT / "conf" / "references" / "deck0.yaml").read_text(encoding="utf-8")
    entries = yaml.safe_load(text)["values"].values()
    found = {}
    for entry in entries:
        if entry.get("study") == "xor_depth" and entry["metric"] == "train_accuracy":
            cell = entry["cell"]
            found[str(cell["depth"]), cell["activation"], cell["init"]] = entry["printed"]
    return found


def test_the_xor_table_is_that_of_the_committed_runs_and_of_the_deck() -> None:
    cells = read("docs/results/quick/xor_depth/cells.csv")
    found = {(c["depth"], c["activation"], c["init"]): c for c in cells}
    printed = printed_in_deck_0()
    rows = re.findall(r"^\| (\d) \| (.+) \|$", README, flags=re.MULTILINE)
    assert [depth for depth, _ in rows] == ["1", "2", "3", "4", "9"]
    named = 0
    for depth, shown in rows:
        for text, (activation, init) in zip(shown.split(" | "), ORDER, strict=True):
            cell = found.get((depth, activation, init))
            if cell is None and activation == "relu":
                assert text == "–"
                continue
            cell = cell or found[depth, "", init]
            value = printed.get((depth, activation, init))
            also = "" if value is None else f"; printed {value}"
            assert (text, cell["n"]) == (f"{cell['successes']}{also}", "200")
            named += bool(also)
    assert named == len(printed) == 3


def test_the_ladder_is_that_of_the_committed_runs() -> None:
    table = (ROOT / "docs/results/paper/ladder/table_main.md").read_text(encoding="utf-8")
    lines = [line for line in table.splitlines() if line.startswith("|")]
    assert len(lines) == 10
    assert "\n".join(lines) in README


def test_the_verdicts_of_the_demo_are_those_of_a_run() -> None:
    table = (ROOT / "docs/results/demo.md").read_text(encoding="utf-8").split("**Against")[1]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    assert len(lines) == 4
    assert "\n".join(lines) in README


def test_the_first_screen_is_a_study_of_ones_own_in_ten_lines() -> None:
    block = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)[0]
    assert block.count("\n") <= 10
    assert README[: README.index(block)].count("\n") <= 10
    named = re.findall(r"^(?:.*&& )?ablation (\w+)", block, flags=re.MULTILINE)
    assert named == ["new", "plan", "run", "serve"]


def test_every_verb_and_decorator_exists() -> None:
    assert set(re.findall(r"(?:`|^)ablation ([a-z]+)", README, flags=re.MULTILINE)) <= set(VERBS)
    (listed,) = re.findall(r"Every decorator of `ablation_lab` (.*?);", README, flags=re.DOTALL)
    names = re.findall(r"`(\w+)`", listed)
    assert names
    assert set(names) <= set(ablation_lab.__all__)


def test_what_a_card_gains_is_what_was_measured() -> None:
    page = (ROOT / "docs/results/bench_card.md").read_text(encoding="utf-8")
    (lab,) = [line.split(" | ") for line in page.splitlines() if "lab, stacks of 1,000" in line]
    seconds, times = re.findall(r"1,000 MNIST runs in (\d+) s, (\d+) times as", README)[0]
    assert lab[2].startswith(f"{seconds}.")
    assert lab[4] == times


def commands(text: str) -> list[str]:
    """Every line of code of a README, without the comments of its commands."""
    blocks = re.findall(r"```\w+\n(.*?)```", text, flags=re.DOTALL)
    return [re.sub(r"\s*#.*", "", line) for block in blocks for line in block.splitlines()]


def test_both_languages_say_the_same_commands_and_lead_to_the_same_pages() -> None:
    assert commands(KOREAN) == commands(README)
    pages = [set(re.findall(r"\]\(([\w./-]+)", text)) for text in (README, KOREAN)]
    assert pages[0] - pages[1] == {"README.ko.md"}
    assert pages[1] - pages[0] == {"README.md"}
    rows = ["".join(re.findall(r"^\|.*\n", text, flags=re.MULTILINE)) for text in (README, KOREAN)]
    numbers = [re.findall(r"\d+(?:\.\d+)?", text) for text in rows]
    assert numbers[0] == numbers[1]
