"""Every wrong declaration gives one line that names file and key, what was found and expected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ablation_lab.errors import ConfigurationError
from ablation_lab.study.factor import FactorRole
from ablation_lab.study.schema import parse_study

Change = Callable[[dict[str, Any]], object]


def setting(path: str, value: Any) -> Change:
    """Return the change that sets one key, given as a path."""

    def change(study: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        for name in parents:
            study = study.setdefault(name, {})
        study[last] = value

    return change


def without(path: str) -> Change:
    """Return the change that removes one key."""

    def change(study: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        for name in parents:
            study = study[name]
        del study[last]

    return change


# change, place, rest of the line
BAD: list[tuple[str, Change, str, str]] = [
    ("top key", setting("metrik", "x"), "", "unknown key 'metrik'; nearest: 'metric'"),
    ("missing", without("question"), "", "required key 'question' is missing"),
    ("kind", setting("title", 3), ".title", "expected str, found 3"),
    ("bool seed", setting("seed", True), ".seed", "expected int, found True"),
    (
        "metric",
        setting("metric", "sucess"),
        ".metric",
        "unknown value 'sucess'; nearest: 'success'",
    ),
    ("selection", setting("selection", "best"), ".selection", "unknown value 'best'"),
    ("run", setting("run", "mlp"), ".run", "expected a mapping, found 'mlp'"),
    ("no factor", setting("factors", {}), ".factors", "expected at least one factor, found none"),
    ("factors", setting("factors", ["width"]), ".factors", "expected a mapping, found ['width']"),
    (
        "factor key",
        setting("factors/width/lable", "w"),
        ".factors.width",
        "unknown key 'lable'; nearest: 'label'",
    ),
    (
        "no levels",
        without("factors/activation/levels"),
        ".factors.activation",
        "required key 'levels' is missing",
    ),
    (
        "list without key",
        without("factors/activation/key"),
        ".factors.activation",
        "expected 'levels' as a list together with 'key'",
    ),
    (
        "mapping with key",
        setting("factors/width/key", "model.widths"),
        ".factors.width",
        "expected 'levels' as a list together with 'key'",
    ),
    (
        "empty levels",
        setting("factors/activation/levels", []),
        ".factors.activation.levels",
        "expected distinct levels, found []",
    ),
    (
        "twice",
        setting("factors/activation/levels", ["relu", "relu"]),
        ".factors.activation.levels",
        "expected distinct levels, found ['relu', 'relu']",
    ),
    (
        "level without settings",
        setting("factors/width/levels/small", None),
        ".factors.width.levels.small",
        "expected a mapping, found None",
    ),
    ("role", setting("factors/width/role", "fix"), ".factors.width.role", "unknown value 'fix'"),
    (
        "fixed",
        setting("factors/width/role", "fixed"),
        ".factors.width",
        "a fixed factor has one level, found 2",
    ),
    (
        "when: later factor",
        setting("factors/width/when", {"activation": "relu"}),
        ".factors.width.when",
        "unknown factor 'activation'; known: none",
    ),
    (
        "when: level",
        setting("factors/activation/when", {"width": "smal"}),
        ".factors.activation.when.width",
        "unknown level 'smal'; nearest: 'small'",
    ),
    (
        "when: none",
        setting("factors/activation/when", {"width": []}),
        ".factors.activation.when.width",
        "expected at least one level",
    ),
    (
        "baseline factor",
        setting("baseline", {"widht": "small"}),
        ".baseline",
        "unknown factor 'widht'; nearest: 'width'",
    ),
    (
        "baseline level",
        setting("baseline", {"width": "smal"}),
        ".baseline.width",
        "unknown level 'smal'; nearest: 'small'",
    ),
    (
        "layout key",
        setting("layout", {"rows": "width", "row": "width"}),
        ".layout",
        "unknown key 'row'",
    ),
    ("layout rows", setting("layout", {"rows": "widht"}), ".layout", "unknown factor 'widht'"),
    (
        "layout columns",
        setting("layout", {"rows": "width", "columns": ["act"]}),
        ".layout",
        "unknown factor 'act'; nearest: 'activation'",
    ),
    ("exclude", setting("exclude", {}), ".exclude", "expected list, found {}"),
    (
        "exclude: no reason",
        setting("exclude", [{"where": {"width": "small"}}]),
        ".exclude[0]",
        "required key 'reason' is missing",
    ),
    (
        "exclude: level",
        setting("exclude", [{"where": {"width": ["small", "big"]}, "reason": "r"}]),
        ".exclude[0].where.width",
        "unknown level 'big'",
    ),
    (
        "exclude: key",
        setting("exclude", [{"where": {}, "reason": "r", "because": "b"}]),
        ".exclude[0]",
        "unknown key 'because'",
    ),
    (
        "design: a ladder of two factors",
        setting("design", "ladder"),
        ".design",
        "a ladder has one factor, whose levels are its steps in order; found width, activation",
    ),
    (
        "design: no full model",
        setting("design", "one_at_a_time"),
        ".design",
        "one_at_a_time changes one factor of the full model at a time; expected 'baseline' to "
        "give a level of every factor that varies (width, activation), found width",
    ),
    (
        "equivalence in points",
        setting("equivalence", 5),
        ".equivalence",
        "expected a margin in the metric's unit (a share below 1, so that 0.005 is half a point), "
        "found 5.0",
    ),
    ("profiles", without("profiles"), "", "required key 'profiles' is missing"),
    (
        "replicates 0",
        setting("profiles/smoke/replicates", 0),
        ".profiles.smoke.replicates",
        "expected at least 1, found 0",
    ),
    (
        "replicates text",
        setting("profiles/smoke/replicates", "many"),
        ".profiles.smoke.replicates",
        "expected int, found 'many'",
    ),
    (
        "profile key",
        setting("profiles/smoke/override", {}),
        ".profiles.smoke",
        "unknown key 'override'; nearest: 'overrides'",
    ),
    (
        "profile level",
        setting("profiles/smoke/levels", {"width": ["tiny"]}),
        ".profiles.smoke.levels.width",
        "unknown level 'tiny'",
    ),
    (
        "profile without level",
        setting("profiles/smoke/levels", {"width": []}),
        ".profiles.smoke.levels.width",
        "expected at least one level",
    ),
    (
        "adjustments: level",
        setting("profiles/smoke/adjustments", [{"where": {"width": "tiny"}, "overrides": {}}]),
        ".profiles.smoke.adjustments[0].where.width",
        "unknown level 'tiny'",
    ),
    (
        "adjustments: nothing set",
        setting("profiles/smoke/adjustments", [{"where": {"width": "small"}}]),
        ".profiles.smoke.adjustments[0]",
        "required key 'overrides' is missing",
    ),
    (
        "claims, which have files of their own",
        setting("claims", []),
        "",
        "unknown key 'claims'",
    ),
    (
        "looks without anything to compare",
        lambda study: study.update(
            baseline={},
            profiles={"smoke": {"replicates": {"at_least": 4, "at_most": 8, "until": "decided"}}},
        ),
        ".profiles.smoke.replicates",
        "'until: decided' needs comparisons, so a baseline or the steps of a ladder",
    ),
    (
        "looks that fall",
        setting("profiles/smoke/replicates", {"at_least": 8, "at_most": 8, "until": "decided"}),
        ".profiles.smoke.replicates.at_most",
        "expected more than at_least, 8, found 8; as many in any case are one number",
    ),
    (
        "looks until something else",
        setting("profiles/smoke/replicates", {"at_least": 4, "at_most": 8, "until": "desided"}),
        ".profiles.smoke.replicates.until",
        "unknown value 'desided'; nearest: 'decided'",
    ),
    (
        "looks of an unknown key",
        setting(
            "profiles/smoke/replicates",
            {"at_leest": 2, "at_least": 4, "at_most": 8, "until": "decided"},
        ),
        ".profiles.smoke.replicates",
        "unknown key 'at_leest'; nearest: 'at_least'",
    ),
    (
        "looks that begin at one run",
        setting("profiles/smoke/replicates", {"at_least": 1, "at_most": 8, "until": "decided"}),
        ".profiles.smoke.replicates.at_least",
        "expected at least 2, found 1",
    ),
]


@pytest.mark.parametrize(
    ("change", "place", "rest"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
def test_bad_declaration(
    declaration: dict[str, Any], change: Change, place: str, rest: str
) -> None:
    change(declaration)
    with pytest.raises(ConfigurationError) as error:
        parse_study("small", declaration)
    line = str(error.value)
    assert line.startswith(f"study/small.yaml: small{place}: {rest}")
    assert "\n" not in line


@pytest.mark.parametrize("key", ["name", "references"])
def test_what_the_lab_fills_in_is_not_written(declaration: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigurationError, match=f"small: unknown key '{key}'"):
        parse_study("small", {**declaration, key: "small"})


def test_no_mapping_at_all() -> None:
    with pytest.raises(ConfigurationError, match=r"^study/small\.yaml: small: expected a mapping"):
        parse_study("small", None)


def test_a_right_declaration_is_kept_as_it_is(declaration: dict[str, Any]) -> None:
    study = parse_study("small", declaration)
    assert (study.name, study.metric.name, study.seed) == ("small", "success", 0)
    assert [factor.name for factor in study.factors] == ["width", "activation"]
    assert study.factors[0].settings["large"] == {"model.widths": [5]}
    assert study.factors[1].settings["relu"] == {"model.activation": "relu"}
    assert study.factors[0].role is FactorRole.SCIENTIFIC
    assert study.references == ()


@pytest.mark.parametrize(
    ("value", "label"), [(True, "true"), (False, "false"), (1.0, "1.0"), (3, "3"), ("a", "a")]
)
def test_a_level_is_found_by_its_yaml_value(
    declaration: dict[str, Any], value: Any, label: str
) -> None:
    declaration["factors"]["bias"] = {"key": "model.bias_init", "levels": [value]}
    declaration["baseline"] = {"bias": value}
    study = parse_study("small", declaration)
    assert study.factors[2].levels == (label,)
    assert study.baseline == {"bias": label}


def test_unknown_profile_names_the_nearest(declaration: dict[str, Any]) -> None:
    study = parse_study("small", declaration)
    with pytest.raises(ConfigurationError) as error:
        study.budget("smokee")
    expected = "study/small.yaml: no profile 'smokee'; nearest: 'smoke'; known: smoke"
    assert str(error.value) == expected
