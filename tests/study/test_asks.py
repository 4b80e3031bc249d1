"""What a study asks: which cells answer, which questions are refused, and no key knows of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ablation_lab.errors import ConfigurationError
from ablation_lab.study.asks import Ask, contrasts_of
from ablation_lab.study.declare import declaration_of, declare
from ablation_lab.study.protocol import terms_of
from ablation_lab.study.schema import parse_study

SMALL_LARGE = {"question": "Do more units help?", "compare": {"width": ["small", "large"]}}
CELLS = {
    f"depth={d},rule={r}": {"depth": d, "rule": r} for d in ("1", "2", "3") for r in ("x", "y")
}


def made(**ask: Any) -> Ask:
    return Ask.model_validate({"question": "?", **ask}, context={"written": True})


def test_each_combination_of_the_other_levels_is_a_place() -> None:
    found = contrasts_of(made(compare={"depth": [1, 3]}), CELLS)
    assert found is not None
    assert [place.where for place in found.places] == [{"rule": "x"}, {"rule": "y"}]
    assert found.places[0].steps == (("depth=1,rule=x",), ("depth=3,rule=x",))
    assert found.whole.steps[1] == ("depth=3,rule=x", "depth=3,rule=y")


def test_levels_within_are_kept_and_several_factors_change_together() -> None:
    one = contrasts_of(made(compare={"depth": [1, 2, 3]}, within={"rule": "y"}), CELLS)
    assert one is not None
    assert (one.kept, len(one.places), len(one.steps)) == ({"rule": "y"}, 1, 3)
    both = contrasts_of(made(compare={"depth": [1, 3], "rule": ["x", "y"]}), CELLS)
    assert both is not None
    assert both.whole.steps == (("depth=1,rule=x",), ("depth=3,rule=y",))


def test_a_factor_that_does_not_apply_keeps_no_cell_from_being_compared() -> None:
    cells = {
        "size=1": {"size": "1"},
        **{f"size=7,rule={r}": {"size": "7", "rule": r} for r in "xy"},
    }
    found = contrasts_of(made(compare={"size": [1, 7]}), cells)
    assert found is not None
    assert [place.steps[0] for place in found.places] == [("size=1",), ("size=1",)]


def test_steps_that_a_profile_leaves_out_are_left_out() -> None:
    fewer = {name: levels for name, levels in CELLS.items() if levels["depth"] != "2"}
    found = contrasts_of(made(compare={"depth": [1, 2, 3]}), fewer)
    assert found is not None
    assert found.steps == (("1",), ("3",))
    assert contrasts_of(made(compare={"depth": [1, 2]}), fewer) is None


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (
            {"compare": {"widht": ["small", "large"]}},
            "asks[0].compare: unknown factor 'widht'; nea",
        ),
        ({"compare": {"width": ["small", "lage"]}}, "compare.width: unknown level 'lage'; nearest"),
        ({"compare": {"width": "small"}}, "compare.width: expected at least 2, found"),
        ({"compare": {}}, "compare: expected at least 1, found {}"),
        ({"compare": {"width": ["small", "small"]}}, "compare.width: expected distinct levels"),
        ({"within": {"width": "small"}}, "within.width: 'width' is what is compared; expected"),
        ({"within": {"activation": "rule"}}, "within.activation: unknown level 'rule'; nearest"),
        ({"vs": "large"}, "asks[0]: unknown key 'vs'; "),
        (
            {"compare": {"width": ["small", "large"], "activation": ["relu", "sigmoid", "relu"]}},
            "compare.activation: expected 2 levels, as of 'width', which it changes with; found 3",
        ),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_in_one_line(
    declaration: dict[str, Any], ask: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_study("small", {**declaration, "asks": [{**SMALL_LARGE, **ask}]})
    (line,) = str(refused.value).splitlines()
    assert line.startswith("study/small.yaml: small.asks[0]")
    assert said in line


def test_a_question_that_no_cells_answer_is_refused_with_its_line(
    declaration: dict[str, Any], tmp_path: Path
) -> None:
    declaration["factors"]["activation"]["when"] = {"width": ["large"]}
    asks = [
        SMALL_LARGE | {"compare": {"activation": ["sigmoid", "relu"]}, "within": {"width": "small"}}
    ]
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump({"small": {**declaration, "asks": asks}}), encoding="utf-8")
    study = parse_study("small", {**declaration, "asks": asks}, path)
    with pytest.raises(ConfigurationError, match=r"small.yaml, line \d+: asks\[0\]: no two cells"):
        declare(study, "smoke")


def test_questions_are_declared_and_change_no_key(declaration: dict[str, Any]) -> None:
    asking = declare(parse_study("small", {**declaration, "asks": [SMALL_LARGE]}), "smoke")
    silent = declare(parse_study("small", declaration), "smoke")
    assert [run.key for run in asking.runs] == [run.key for run in silent.runs]
    assert declaration_of(asking, {}).asks[0].question == "Do more units help?"
    assert declaration_of(silent, {}).asks == ()
    terms = terms_of(declaration_of(asking, {}).model_dump(mode="json"))
    assert terms["asks.0.question"] == "Do more units help?"
    assert terms["asks.0.compare.width"] == "small, large"
