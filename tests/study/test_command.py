"""A command in a study's file: what is refused, with its line, before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablation_lab.errors import ConfigurationError
from ablation_lab.study.command import filled, placeholders
from ablation_lab.study.files import read_study
from ablation_lab.study.grid import Cell, expand
from ablation_lab.study.schema import parse_study

TEXT = """s:
  title: A script
  question: Which rate?
  source: a test
  metric: {name: acc, direction: maximize}
  run:
    command:
      - python
      - train.py
      - --lr=${lr}
      - --out
      - ${out}
    params: {epochs: 3}
    environment: {EPOCHS: "${epochs}"}
    limits: {minutes: 5}
  factors:
    lr: [0.1, 0.01]
  profiles:
    smoke:
      replicates: 2
      overrides: {params.epochs: 1}
"""


def cells(folder: Path, text: str = TEXT) -> tuple[Cell, ...]:
    path = folder / "conf" / "study" / "s.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    (folder / "train.py").write_text("")
    return expand(parse_study("s", read_study(path), path), "smoke")


def test_levels_are_values_of_placeholders(tmp_path: Path) -> None:
    found = cells(tmp_path)
    assert [cell.name for cell in found] == ["lr=0.1", "lr=0.01"]
    assert [cell.config["params"] for cell in found] == [
        {"epochs": 1, "lr": 0.1},
        {"epochs": 1, "lr": 0.01},
    ]
    assert found[0].config["command"]["arguments"][2] == "--lr=${lr}"


@pytest.mark.parametrize(
    ("factor", "params"),
    [
        ("lr: {levels: [0.1, 0.01], label: rate}", {"lr": 0.1}),
        ("rate: {key: params.lr, levels: [0.1, 0.01]}", {"lr": 0.1}),
        ("rate: {levels: {slow: {lr: 0.1}, quick: {params.lr: 1, epochs: 9}}}", {"lr": 0.1}),
        ("lr: [true, a word]", {"lr": True}),
    ],
)
def test_factors_can_be_written_in_every_way(tmp_path: Path, factor: str, params: object) -> None:
    found = cells(tmp_path, TEXT.replace("lr: [0.1, 0.01]", factor))
    assert found[0].config["params"] == {"epochs": 1, **dict(params)}  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("was", "now", "line", "said"),
    [
        ("lr=${lr}", "lr=${rate}", 10, "unknown placeholder ${rate}; nearest: 'replicate'"),
        ("lr=${lr}", "lr=${rate}", 17, "params.lr: no placeholder ${lr} in the command"),
        ('"${epochs}"', "1", 21, "params.epochs: no placeholder ${epochs} in the command"),
        ("lr: [0.1", "seed: [0.1", 17, "${seed} is given by the lab; call it otherwise"),
        ("- python\n", "- [python]\n", 8, "expected a text, a number or a truth, found ['python']"),
        ("limits: {minutes: 5}", "limits: {minutes: -5}", 15, "expected more than 0, found -5"),
        ("limits: {minutes: 5}", "limits: {minuts: 5}", 15, "unknown key 'minuts'; nearest"),
        ("limits: {minutes: 5}", "code: [src/*.py]", 15, "'src/*.py': no such file in"),
        ("limits: {minutes: 5}", "pattern: acc=(.*)", 15, "expected a group for each metric"),
        ("limits: {minutes: 5}", "pattern: acc=(", 15, "is no regular expression"),
        (
            "limits: {minutes: 5}",
            "training: {epochs: 3}",
            15,
            "unknown key 'training' of a command",
        ),
        ("limits: {minutes: 5}", "folders: src", 15, "unknown key 'folders'; nearest: 'folder'"),
        ("lr: [0.1, 0.01]", "lr: [0.1, 0.10]", 17, "expected distinct levels"),
        ("overrides: {params.epochs: 1}", "overrides: {params.epoch: 1}", 21, "no placeholder"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(
    tmp_path: Path, was: str, now: str, line: int, said: str
) -> None:
    assert was in TEXT
    with pytest.raises(ConfigurationError) as error:
        cells(tmp_path, TEXT.replace(was, now))
    lines = str(error.value).splitlines()
    assert [each for each in lines if f"study/s.yaml, line {line}:" in each and said in each], lines


def test_a_file_of_all_settings_uses_every_factor(tmp_path: Path) -> None:
    found = cells(tmp_path, TEXT.replace("--lr=${lr}", "${params}"))
    assert len(found) == 2


def test_a_nuisance_factor_has_nothing_to_be_tuned_on(tmp_path: Path) -> None:
    from ablation_lab.study.declare import declare

    text = TEXT.replace("lr: [0.1, 0.01]", "lr: {role: nuisance, levels: [0.1, 0.01]}")
    text = text.replace("replicates: 2", "replicates: 2\n      tuning: {trials: 1, replicates: 1}")
    text = text.replace("params: {epochs: 3}", "").replace('{EPOCHS: "${epochs}"}', '{E: "${e}"}')
    text = text.replace("overrides: {params.epochs: 1}", "").replace(
        "  factors:\n", "  factors:\n    e: [1, 2]\n"
    )
    path = tmp_path / "conf" / "study" / "s.yaml"
    cells(tmp_path, text)
    with pytest.raises(ConfigurationError, match="nuisance factors are tuned on validation"):
        declare(parse_study("s", read_study(path), path), "smoke")


def test_placeholders_are_filled_once_and_nothing_is_run() -> None:
    values = {"a": "${b}", "b": [1, 2], "c": True, "d": 1e-05}
    text = "${a} ${b} ${c} ${d} $(date) $HOME $${a}"
    assert placeholders(text) == ["a", "b", "c", "d"]
    assert filled(text, values) == "${b} [1, 2] true 1e-05 $(date) $HOME ${a}"
