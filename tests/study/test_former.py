"""Words of former versions: refused in one line that names today's, and read in what is stored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ablation_lab.errors import ConfigurationError
from ablation_lab.study.former import FORMER, of_today
from ablation_lab.study.references import read_references
from ablation_lab.study.schema import parse_study
from ablation_lab.study.settings import resolve

TRAINING = [each for each in FORMER if each.section == "training"]


@pytest.mark.parametrize("was", TRAINING, ids=lambda was: was.key)
def test_a_former_setting_is_refused_with_the_name_of_today(
    config: dict[str, Any], was: Any
) -> None:
    with pytest.raises(ConfigurationError) as error:
        resolve(config, [{f"training.{was.key}": was.value or [1]}], "study/s.yaml: a=b")
    assert str(error.value).startswith("study/s.yaml: a=b: training")
    assert f"is called {was.today} now; rename it" in str(error.value)
    assert "\n" not in str(error.value)


STORED = {
    "observe": (True, {"probe": True}),
    "ask": ([[0.0, 1.0]], {"predict_at": [[0.0, 1.0]]}),
    "divide_rate_at": ([3, 4], {"lr_milestones": [3, 4]}),
    "order": ("stored", {"shuffle": False}),
    "remainder": ("keep", {"drop_last": False}),
    "loss": ("printed", {"loss": "unclipped"}),
}


@pytest.mark.parametrize("was", TRAINING, ids=lambda was: was.key)
def test_what_was_stored_is_read_as_what_would_be_written_today(
    config: dict[str, Any], was: Any
) -> None:
    value, today = STORED[was.key]
    assert of_today({"training": {was.key: value}})["training"] == today
    usual = {"epochs": 1, "batch_size": 2}
    resolved = resolve(config, [{"training": {**usual, **today}}], "study/s.yaml")
    assert json.loads(json.dumps(resolved))["training"].items() >= today.items()


def test_what_is_called_as_ever_is_read_as_it_is() -> None:
    config = {"model": {"observe": 1}, "training": {"loss": "stable", "steps": 3}}
    assert of_today(config) == config


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        (
            {"replicates": 2, "set": {}},
            "quick: key 'set' is called 'overrides' now; rename it",
        ),
        ({"replicates": 2, "adjust": []}, "key 'adjust' is called 'adjustments' now; rename it"),
        (
            {"replicates": 2, "adjustments": [{"where": {}, "set": {}}]},
            "adjustments[0]: key 'set' is called 'overrides' now; rename it",
        ),
    ],
)
def test_a_former_key_of_a_profile(profile: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_study("s", {"profiles": {"quick": profile}})
    assert said in str(error.value)


def test_a_former_key_of_reference_values() -> None:
    with pytest.raises(ConfigurationError, match="key 'claims' is called 'values' now; rename it"):
        read_references({"deck": {"source": "a deck", "claims": {}}})
