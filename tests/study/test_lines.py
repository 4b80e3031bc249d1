"""All that is wrong with a file is said at once, each in a line with its place in the file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ablation_lab.errors import ConfigurationError
from ablation_lab.study.grid import expand
from ablation_lab.study.schema import parse_study


def test_everything_that_is_wrong_is_said_at_once_with_its_line(
    declaration: dict[str, Any], tmp_path: Path
) -> None:
    declaration["seed"] = "one"
    declaration["factors"]["width"]["role"] = "fixd"
    declaration["profiles"]["smoke"]["set"] = {"training.steps": 3}
    del declaration["question"]
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump({"small": declaration}, sort_keys=False))
    with pytest.raises(ConfigurationError) as error:
        parse_study("small", declaration, path)
    text = path.read_text().splitlines()
    found = []
    for line in str(error.value).splitlines():
        place, number, said = re.fullmatch(r"(.*), line (\d+): (.*)", line).groups()
        assert place == "study/small.yaml"
        found.append((int(number), text[int(number) - 1].split(":")[0].strip(), said))
    assert found == sorted(found, key=lambda each: each[0])
    assert [(key, said) for _, key, said in found] == [
        ("small", "small: required key 'question' is missing"),
        ("role", "small.factors.width.role: unknown value 'fixd'; nearest: 'fixed'; known: "
         "scientific, nuisance, fixed, task"),
        ("set", "small.profiles.smoke: key 'set' is called 'overrides' now; rename it"),
        ("seed", "small.seed: expected int, found 'one'"),
    ]  # fmt: skip


def test_what_the_command_line_says_has_no_line(
    declaration: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump({"small": declaration}))
    with pytest.raises(ConfigurationError, match=r"^study/small\.yaml: small: unknown key 'sed'"):
        parse_study("small", {**declaration, "sed": 1}, path)


def located(error: ConfigurationError, path: Path) -> list[tuple[str, str]]:
    """Return what stands in the line that each problem names, and the problem."""
    text = path.read_text().splitlines()
    found = []
    for line in str(error).splitlines():
        place, number, said = re.fullmatch(r"(.*?), line (\d+): (.*)", line).groups()  # type: ignore[union-attr]
        assert place == "study/small.yaml"
        found.append((text[int(number) - 1].strip(), said))
    return found


def test_everything_that_is_wrong_with_cells_is_said_at_once_where_it_stands(
    declaration: dict[str, Any], tmp_path: Path
) -> None:
    declaration["run"]["training"] |= {"loss": "printed", "points": [9, 5]}
    declaration["run"]["optimizer"]["momentum"] = 2
    declaration["factors"]["width"]["levels"]["small"] = {"model.width": [2]}
    declaration["factors"]["activation"] = {"key": "model.activation", "levels": ["tanh", 7]}
    declaration["profiles"]["smoke"]["overrides"] = {"data.train_size": 0}
    declaration["profiles"]["smoke"]["adjustments"] = [
        {"where": {"width": "large"}, "overrides": {"training": {"epochs": 0}}}
    ]
    declaration["baseline"] = {}
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump({"small": declaration}, sort_keys=False))
    study = parse_study("small", declaration, path)
    with pytest.raises(ConfigurationError) as error:
        expand(study, "smoke")
    found = located(error.value, path)
    small, large = "width=small,activation=tanh: ", "width=large,activation=tanh: "
    expected = [
        ("momentum: 2", f"{small}optimizer.momentum: expected a finite number in [0, 1), found 2"),
        ("loss: printed", f"{small}training.loss: 'loss: printed' is called 'loss: unclipped' now"),
        ("points:", f"{small}training.points: expected a rising list of positive integers"),
        ("model.width:", f"{small}model: unknown key 'width'; nearest: 'widths'"),
        ("- 7", "width=small,activation=7: model.activation: expected str, found 7"),
        ("data.train_size: 0", f"{small}data.train_size: expected a positive integer or null"),
        ("epochs: 0", f"{large}training.epochs: expected at least 1, found 0"),
    ]
    assert [line for line, _ in found] == [line for line, _ in expected]
    for (_, said), (_, start) in zip(found, expected, strict=True):
        assert said.startswith(start)


def test_what_a_call_sets_has_no_line(declaration: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump({"small": declaration}))
    study = parse_study("small", declaration, path)
    call = study.model_copy(update={"of_call": {"training.l2": "much"}})
    with pytest.raises(ConfigurationError) as error:
        expand(call, "smoke")
    cell = "study/small.yaml: width=small,activation=sigmoid"
    assert str(error.value) == f"{cell}: training.l2: expected float, found 'much'"
