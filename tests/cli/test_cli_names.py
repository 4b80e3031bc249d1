"""Folders of any name: no path is a word of Hydra's, of SQLite's addresses, of MLflow's, of SQL."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.cli.lab import ONE_WORKER, STUDY, Call, clean_environment

NAMES = [
    "Lab (copy) ü",
    "[a] {b}, 'c' \"d\"",
    "x=1 #2 ;3 &4 !5 ~6",
    "50% %20 %2F 25%",
    "$HOME ${d} `e` \\f",
    "a?b*c:d|e<f>",
    "~",
    "-p",
    " 実験 @ + ^ ",
]
# Every sign of them in two names, which are used to the report.
ALL = ["Lab (copy) ü [a] {b}, 'c' \"d\" = #1 ;2 &3 !4 ~5 %20 50%", "$H ${d} `e` ?g *h :i |j %2F @k"]
WORDS = ("profile=smoke", "study=tiny")


def project(folder: Path) -> Path:
    """Write a project with the small study and a plug-in."""
    (folder / "conf" / "study").mkdir(parents=True)
    text = yaml.safe_dump({"tiny": STUDY}, sort_keys=False)
    (folder / "conf" / "study" / "tiny.yaml").write_text(text, encoding="utf-8")
    (folder / "conf" / "config.yaml").write_text("plugins: [mine]\n", encoding="utf-8")
    (folder / "mine.py").write_text("", encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_any_name_is_a_project(forked_call: Call, tmp_path: Path, name: str) -> None:
    folder = project(tmp_path / name)
    places = [f"reports={folder}/r", f"data.root={folder}/d", f"tracking.uri=sqlite:///{name}.db"]
    if "${" in name:  # typed in, it stands for another setting
        places = []
    for arguments in (["plan", *WORDS], ["plan", *WORDS, *places], ["rekey", "keys=k", *WORDS]):
        outcome = forked_call(folder, *arguments)
        assert outcome.status == 0, outcome.err
    assert (folder / "k").exists()
    elsewhere = forked_call(tmp_path, "plan", f"--project={name}", *WORDS)
    assert elsewhere.out.startswith("1 study, 2 cells, 4 runs: 0 done, 4 to do")
    assert forked_call(folder, "new", "demo").status == 0


@pytest.mark.parametrize("name", ALL)
def test_a_folder_of_any_name_is_used_to_the_report(
    forked_call: Call, tmp_path: Path, name: str
) -> None:
    folder = project(tmp_path / name)
    run = subprocess.run(
        [sys.executable, "-m", "ablation_lab", "run", *WORDS, ONE_WORKER],
        cwd=folder,
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert (folder / "reports" / "smoke" / "tiny.html").exists()
    assert list((folder / "runs" / "artifacts").rglob("declaration.json"))
    for verb in ("run", "report", "plan", "doctor"):
        outcome = forked_call(folder, verb, *(WORDS if verb != "doctor" else ()))
        assert (outcome.status, outcome.err) == (0, ""), outcome
    assert "4 runs: 4 done, nothing to do" in forked_call(folder, "plan", *WORDS).out
    assert "nothing is missing" in forked_call(folder, "rekey", *WORDS).out
    assert {path.name for path in tmp_path.iterdir()} <= {name, ".cache", ".config"}
