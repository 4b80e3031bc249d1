"""What each verb says, and what is wrong with how it was called, in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ablation_lab.cli import VERBS, main
from tests.cli.lab import Call

Printed = pytest.CaptureFixture[str]


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_the_overview_names_every_verb(arguments: list[str], capsys: Printed) -> None:
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert all(f"  {name:<8} " in out for name in VERBS)
    assert "hydra" not in out.lower()
    assert len(out.splitlines()) < 30


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_a_short_help(name: str, capsys: Printed) -> None:
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: ablation {name} ")
    assert len(out.splitlines()) < 30


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["rnu"], "unknown command 'rnu'; nearest: 'run'; known: run, plan, report, "),
        (
            ["run", "--fast"],
            "command line: unrecognized arguments: --fast; see ablation run --help",
        ),
        (["run", "--project"], "command line: argument --project: expected one argument"),
        (["new"], "command line: expected one name, as in `ablation new demo`"),
        (["new", "2nd"], "new: '2nd': expected a name that a Python file can have, such as demo"),
        (["new", "json"], "new: 'json': a package of this name can be imported already"),
        (["plan"], "no project in "),
    ],
)
def test_a_wrong_call_is_one_line(
    arguments: list[str],
    line: str,
    capsys: Printed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: {line}")
    assert printed.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_schema_is_json(capsys: Printed) -> None:
    assert main(["schema"]) == 0
    assert "$defs" in json.loads(capsys.readouterr().out)


def test_a_new_project_is_not_written_over_another(forked_call: Call, tmp_path: Path) -> None:
    assert forked_call(tmp_path, "new", "demo").status == 0
    before = {path: path.read_bytes() for path in (tmp_path / "demo").rglob("*") if path.is_file()}
    again = forked_call(tmp_path, "new", "demo")
    assert again.status == 2
    assert "expected no such folder, or an empty one" in again.err
    assert {path: path.read_bytes() for path in before} == before


def test_a_new_project_can_be_planned(forked_call: Call, tmp_path: Path) -> None:
    forked_call(tmp_path, "new", "demo")
    outcome = forked_call(tmp_path, "plan", "--project", "demo")
    assert outcome.status == 0, outcome.err
    assert outcome.out.startswith("1 study, 4 cells, 32 runs: 0 done, 32 to do")


def test_a_setting_of_every_run_is_one_of_a_plan(forked_call: Call, tmp_path: Path) -> None:
    forked_call(tmp_path, "new", "demo")
    project = tmp_path / "demo"
    refused = forked_call(project, "plan", "model.width=3")
    assert refused.status == 2
    assert "model.width: factor 'width' of study/demo.yaml sets it" in refused.err
    wrong = forked_call(project, "plan", "training.epoch=3")
    assert wrong.status == 2
    assert "unknown key 'epoch'; nearest: 'epochs'" in wrong.err


EQUAL = """
twins:
  title: Two depths of nothing
  question: Is one configuration said to be one?
  source: a test
  metric: success
  run:
    model: {family: mlp, widths: [3]}
    data: {name: xor}
    optimizer: {name: sgd, learning_rate: 0.1}
    training: {steps: 20}
  factors:
    name:
      levels: {one: {model.activation: relu}, same: {model.activation: relu},
               other: {model.activation: tanh}}
  profiles: {smoke: {replicates: 8}}
"""


def test_a_plan_names_cells_of_one_configuration(forked_call: Call, tmp_path: Path) -> None:
    (tmp_path / "conf" / "study").mkdir(parents=True)
    (tmp_path / "conf" / "study" / "twins.yaml").write_text(EQUAL, encoding="utf-8")
    plan = forked_call(tmp_path, "plan", "profile=smoke")
    assert "  equal cells: name=one = name=same: one configuration, trained once\n" in plan.out
    assert "comparison" not in plan.out
    assert not (tmp_path / "runs").exists()


def test_a_store_without_the_runs_is_not_rekeyed(forked_call: Call, tmp_path: Path) -> None:
    forked_call(tmp_path, "new", "demo")
    refused = forked_call(tmp_path / "demo", "rekey")
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert "no file 'runs/mlflow.db'; run a study first" in refused.err
    assert not (tmp_path / "demo" / "runs").exists()


def test_keys_are_written_down_and_carried_over(forked_call: Call, tmp_path: Path) -> None:
    forked_call(tmp_path, "new", "demo")
    project = tmp_path / "demo"
    assert forked_call(project, "rekey", "keys=before.json").status == 0
    keys = json.loads((project / "before.json").read_text(encoding="utf-8"))
    assert len(keys) == 4 * (2 + 8)
    (project / "damaged.json").write_text("{")
    refused = forked_call(project, "rekey", "from=damaged.json")
    assert (refused.status, refused.err.count("\n")) == (2, 1)


def test_the_doctor_names_what_is_not_in_order(forked_call: Call, tmp_path: Path) -> None:
    forked_call(tmp_path, "new", "demo")
    well = forked_call(tmp_path / "demo", "doctor")
    assert well.status == 0, well.out
    assert "ok  plug-in demo: " in well.out
    (tmp_path / "demo" / "demo.py").unlink()
    ill = forked_call(tmp_path / "demo", "doctor")
    assert ill.status == 1
    assert "BAD plug-in demo: not found" in ill.out


def test_the_doctor_looks_at_the_families_of_a_package(forked_call: Call, tmp_path: Path) -> None:
    forked_call(tmp_path, "new", "demo")
    project = tmp_path / "demo"
    well = forked_call(project, "doctor", "demo")
    assert well.status == 0, well.out
    assert "ok  demo, repeatable: built and trained twice" in well.out
    module = project / "demo.py"
    module.write_text(
        module.read_text().replace("nn.Linear(width, classes)", "nn.Linear(width, 3)")
    )
    ill = forked_call(project, "doctor", "family=demo")
    assert ill.status == 1
    assert (
        "BAD demo, outputs: ValueError: family 'demo' on data 'digits': expected 10 logits"
        in ill.out
    )


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["demo", "more"], "doctor: expected [PACKAGE | family=NAME], found 'more' beside 'demo'"),
        (["json"], "doctor: 'json' registers no family; name one by family=NAME"),
        (["family=dem"], "unknown family 'dem'; nearest: 'demo'"),
        (["nothing_here"], "plugins: no package 'nothing_here'"),
    ],
)
def test_the_doctor_refuses_what_it_cannot_look_at(
    forked_call: Call, tmp_path: Path, words: list[str], line: str
) -> None:
    forked_call(tmp_path, "new", "demo")
    outcome = forked_call(tmp_path / "demo", "doctor", *words)
    assert outcome.status == 2
    assert outcome.err.startswith(f"error: {line}")
    assert outcome.err.count("\n") == 1
