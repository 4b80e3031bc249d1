"""What cannot be told apart, kept or shown later is refused before anything trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ablation_lab.data import DATASETS
from ablation_lab.errors import ConfigurationError
from ablation_lab.study.declare import declaration_of, declare
from ablation_lab.study.files import read_study
from ablation_lab.study.grid import expand
from ablation_lab.study.metric import METRICS
from ablation_lab.study.names import COLUMNS, KEY, RUN_COLUMNS, key_of
from ablation_lab.study.project import open_project
from ablation_lab.study.schema import parse_study
from lightning_modules.registry import (
    ACTIVATIONS,
    FAMILIES,
    INITIALIZERS,
    LOSSES,
    OPTIMIZERS,
    SCHEDULERS,
    Registry,
)

Declaration = dict[str, Any]


def refused(declaration: Declaration) -> str:
    with pytest.raises(ConfigurationError) as error:
        expand(parse_study("small", declaration), "smoke")
    return str(error.value)


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_a_factor_has_no_column_of_the_labs(declaration: Declaration, name: str) -> None:
    declaration["factors"][name] = {"key": "training.l2", "levels": [0, 1]}
    assert f"factors.{name}: {name!r} is a column of the lab's own tables" in refused(declaration)


@pytest.mark.parametrize(
    ("name", "said"),
    [("", "empty"), (" ", "empty"), ("a\nb", "one line"), ("x" * 201, "at most 200")],
)
def test_names_and_labels_are_one_line_of_some_length(
    declaration: Declaration, name: str, said: str
) -> None:
    level = {**declaration["factors"], "other": {"key": "model.init", "levels": ["zeros", name]}}
    factor = {**declaration["factors"], name: {"key": "training.l2", "levels": [0, 1]}}
    assert said in refused({**declaration, "factors": level})
    assert said in refused({**declaration, "factors": factor})


@pytest.mark.parametrize("name", ["lr (λ, η₀)", "$\\lambda$", "a/b", "..", "width = x", "名"])
def test_a_factor_may_have_any_other_name(declaration: Declaration, name: str) -> None:
    declaration["factors"][name] = {"key": "training.l2", "levels": [0, 1]}
    declared = declare(parse_study("small", declaration), "smoke")
    assert name in declaration_of(declared, {}).factors[-1].name
    key = key_of(name)
    assert KEY.fullmatch(key)
    assert not {"..", ".", ""} & set(key.split("/"))


def test_factors_that_mlflow_could_not_tell_apart(declaration: Declaration) -> None:
    declaration["factors"]["a (b"] = {"key": "training.l2", "levels": [0, 1]}
    declaration["factors"]["a [b"] = {"key": "model.keep_prob", "levels": [1, 0.5]}
    assert "MLflow would have one name for it and for 'a (b'" in refused(declaration)


@pytest.mark.parametrize("name", [*RUN_COLUMNS, "nc", "f1 (macro)", "../f1", "a//b", "", "trainer"])
def test_what_mlflow_or_a_table_cannot_have_as_a_metric(
    declaration: Declaration, name: str
) -> None:
    described = {"name": name, "direction": "maximize"}
    assert "small.metric" in refused({**declaration, "metric": described})
    assert "small.metrics" in refused({**declaration, "metrics": ["success", described]})


@pytest.mark.parametrize(
    "name", ["con", "NUL", "com1.x", "a:b", "claims", "Index", "-x", ".x", "a.replicates", "a,b"]
)
def test_a_study_is_called_as_a_file_can_be_anywhere(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.yaml"
    path.write_text(f'"{name}": {{}}')
    with pytest.raises(ConfigurationError, match="a study: "):
        read_study(path)


@pytest.mark.parametrize("profile", ["../quick", "a/b", "nul", "a "])
def test_a_profile_is_called_as_a_folder_can_be(declaration: Declaration, profile: str) -> None:
    declaration["profiles"][profile] = {"replicates": 1}
    assert f"profiles.{profile}: expected the name of a file on any system" in refused(declaration)


@pytest.mark.parametrize("pair", [("small", "Small"), ("é", "e\u0301")])
def test_studies_of_which_some_systems_keep_one(tmp_path: Path, pair: tuple[str, str]) -> None:
    (tmp_path / "conf" / "study").mkdir(parents=True)
    for name in pair:
        (tmp_path / "conf" / "study" / f"{name}.yaml").write_text(f"{name}: {{}}")
    with pytest.raises(ConfigurationError, match=r"a study of the name of .*, but for capitals"):
        open_project(tmp_path)


@pytest.mark.parametrize(
    "levels",
    [
        [1, 1.0],
        [0.001, "1e-3"],
        [0.5, 0.50, "0.5"],
        [[1], [1.0]],
        ["a", "a"],
        [0, -0.0],
        ["é", "e\u0301"],
    ],
)
def test_levels_that_are_one_value(declaration: Declaration, levels: list[Any]) -> None:
    declaration["factors"]["l2"] = {"key": "training.l2", "levels": levels}
    said = refused(declaration)
    assert "factors.l2.levels: " in said
    assert "are one value; keep one" in said or "expected distinct levels" in said


def test_levels_of_different_kinds_are_different(declaration: Declaration) -> None:
    declaration["factors"]["l2"] = {"key": "training.l2", "levels": [0, 1]}
    declaration["factors"]["probe"] = {"key": "training.probe", "levels": [True, False]}
    assert len(expand(parse_study("small", declaration), "smoke")) == 16


WIDE = {"wide": {"model.widths": [9]}, "narrow": {"model.widths": [1]}}
WHOLE = {"whole": {"model": {"family": "mlp", "widths": [4]}}, "linear": {"model.init": "zeros"}}


@pytest.mark.parametrize(
    ("other", "key"),
    [
        ({"key": "model.widths", "levels": [[1], [2]]}, "model.widths"),
        ({"levels": WIDE}, "model.widths"),
        ({"levels": WHOLE}, "model.widths"),
        ({"role": "nuisance", "levels": WIDE}, "model.widths"),
    ],
)
def test_factors_that_undo_each_other(
    declaration: Declaration, other: dict[str, Any], key: str
) -> None:
    declaration["factors"]["again"] = other
    said = f"factors.again: sets {key!r}, as factor 'width' does, which it would undo"
    assert said in refused(declaration)


def test_factors_that_never_meet_may_set_one_key(declaration: Declaration) -> None:
    declaration["factors"]["activation"]["levels"] = ["relu"]
    declaration["factors"]["width"]["levels"] = {
        "given": {"model.keep_prob": 1.0}, "small": {"model.widths": [2]}
    }  # fmt: skip
    declaration["factors"]["which"] = {"levels": WIDE, "when": {"width": ["given"]}}
    names = [cell.name for cell in expand(parse_study("small", declaration), "smoke")]
    assert len(names) == 3


def test_factors_of_other_cells_may_set_one_key(declaration: Declaration) -> None:
    declaration["factors"]["activation"]["levels"] = ["relu", "tanh"]
    for name in ("relu", "tanh"):
        declaration["factors"][f"l2 of {name}"] = {
            "key": "training.l2", "levels": [0, 1], "when": {"activation": name}
        }  # fmt: skip
    cells = expand(parse_study("small", declaration), "smoke")
    assert (
        len({cell.name for cell in cells}) == 2 * len(declaration["factors"]["width"]["levels"]) * 2
    )


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"overrides": {"training.l2": 3}}, "profiles.smoke.overrides"),
        ({"overrides": {"model.widths": [3]}}, "profiles.smoke.overrides"),
        (
            {"adjustments": [{"where": {"activation": "relu"}, "overrides": {"training.l2": 3}}]},
            "profiles.smoke.adjustments[0].overrides",
        ),
    ],
)
def test_a_profile_that_undoes_a_factor(
    declaration: Declaration, changed: dict[str, Any], place: str
) -> None:
    declaration["factors"]["l2"] = {"key": "training.l2", "levels": [0, 1]}
    declaration["factors"]["activation"]["levels"] = ["relu", "tanh"]
    declaration["profiles"]["smoke"].update(changed)
    said = refused(declaration)
    assert place in said
    assert "undoes factor " in said


def test_a_profile_may_set_what_levels_also_differ_beside(declaration: Declaration) -> None:
    declaration["factors"]["l2"] = {"key": "training.l2", "levels": [0, 1]}
    declaration["profiles"]["smoke"] |= {
        "levels": {"l2": 1},
        "overrides": {"training.l2": 3, "training.steps": 2},
    }
    assert expand(parse_study("small", declaration), "smoke")


def test_cells_that_nothing_could_tell_apart(declaration: Declaration) -> None:
    levels = {"x,b=y": {"training.l2": 0.1}, "x": {"training.l2": 0.2}}
    declaration["factors"] = {
        "a": {"levels": levels},
        "b": {"key": "model.init", "levels": ["y"], "when": {"a": ["x"]}},
    }
    declaration["baseline"] = {}
    said = "study/small.yaml: 2 cells are called 'a=x,b=y'; rename a factor or a level"
    declaration["run"]["model"]["init"] = "normal"
    declaration["factors"]["b"]["levels"] = {"y": {"training.loss": "stable"}}
    del declaration["factors"]["b"]["key"]
    assert refused(declaration) == said


def test_chance_stands_for_accuracies_of_one_number_of_classes(declaration: Declaration) -> None:
    def chance(**changes: Any) -> float | None:
        study = parse_study("small", {**declaration, **changes})
        return declaration_of(declare(study, "smoke"), {}).chance

    assert chance() == chance(metric="train_accuracy") == 0.5
    assert chance(metric={"name": "f1", "direction": "maximize", "kind": "share"}) is None
    data = {"xor": {"data.name": "xor"}, "digits": {"data.name": "digits"}}
    both = {**declaration["factors"], "data": {"levels": data}}
    assert chance(factors=both, metric="train_accuracy") is None


@pytest.mark.parametrize(
    ("registry", "name"),
    [(FAMILIES, "mlp"), (INITIALIZERS, "zeros"), (ACTIVATIONS, "relu"), (OPTIMIZERS, "adam"),
     (SCHEDULERS, "step"), (LOSSES, "stable"), (DATASETS, "xor"), (METRICS, "success")],
)  # fmt: skip
def test_a_name_of_the_labs_is_refused_whether_or_not_it_is_imported(
    registry: Registry[Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def register() -> str:
        with pytest.raises(ValueError, match=f"{name!r} is registered twice: at ") as error:
            registry.register(name)(object)
        return str(error.value)

    assert f" and at {__file__}:" in register()
    if registry._modules:
        # As before anything has imported the module that registers it.
        monkeypatch.delitem(registry._things, name, raising=False)
        assert "lightning_modules" in register()
