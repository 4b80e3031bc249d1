"""The key of a run: the same content gives the same key, and any change another one."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ablation_lab.data import DATASETS
from ablation_lab.study.key import run_key
from ablation_lab.study.run import Run
from tests.study.changed import forget


@pytest.fixture
def resolved(make_run: Callable[..., Run]) -> dict[str, Any]:
    """Return a complete configuration; a test may change it."""
    return copy.deepcopy(dict(make_run().config))


@pytest.fixture(autouse=True)
def _forgetful() -> Iterator[None]:
    forget()
    yield
    forget()


def test_equal_content_has_one_key(resolved: dict[str, Any]) -> None:
    turned = dict(reversed([(key, dict(reversed(v.items()))) for key, v in resolved.items()]))
    assert run_key(resolved, 0, 0) == run_key(turned, 0, 0)
    assert len(run_key(resolved, 0, 0)) == 20


def test_seed_and_replicate_count(resolved: dict[str, Any]) -> None:
    keys = {run_key(resolved, seed, replicate) for seed in range(5) for replicate in range(20)}
    assert len(keys) == 100


def test_every_value_counts(resolved: dict[str, Any]) -> None:
    changes = {
        "model": {"widths": [4], "activation": "tanh", "init": "uniform", "bias_init": "zeros"},
        "data": {"name": "points6", "train_size": 3},
        "optimizer": {
            "name": "adam",
            "learning_rate": 0.2,
            "momentum": 0.5,
            "dampening": 0.1,
            "weight_decay": 0.1,
            "nesterov": True,
        },
        "training": {"steps": 21, "batch_size": 2, "loss": "stable", "l2": 0.1, "epochs": 3},
    }
    changes["model"]["keep_prob"] = 0.5
    keys = {run_key(resolved, 0, 0)}
    expected = 1
    for section, values in changes.items():
        # The family is the one value left: another one has other settings.
        assert set(values) | {"family"} == set(resolved[section]) | {"family"}
        for name, value in values.items():
            changed = copy.deepcopy(resolved)
            changed[section][name] = value
            keys.add(run_key(changed, 0, 0))
            expected += 1
    keys.add(run_key({**resolved, "ensemble": {"size": 2, "rule": "vote"}}, 0, 0))
    assert len(keys) == expected + 1


def test_a_setting_that_is_absent_is_no_content(resolved: dict[str, Any]) -> None:
    later = copy.deepcopy(resolved)
    later["training"]["a_setting_of_a_later_version"] = None
    assert run_key(later, 0, 0) == run_key(resolved, 0, 0)


def test_the_data_counts(resolved: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    before = run_key(resolved, 0, 0)
    other = dataclasses.replace(DATASETS.get("xor"), version="2")
    monkeypatch.setitem(DATASETS._things, "xor", other)
    forget()
    assert run_key(resolved, 0, 0) != before


def test_data_that_a_check_names_counts_for_that_check_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def keys() -> dict[str, str]:
        forget()
        names = ("hihello_one_hot", "sentence_sizes", "sentence_indices", "ramp_shapes", "and_gate")
        return {name: run_key({"check": {"name": name}}, 0, 0) for name in names}

    before = keys()
    for data, checks in {
        "hihello": {"hihello_one_hot"},
        "name_text": {"sentence_sizes", "sentence_indices"},
        "ramp": {"ramp_shapes"},
    }.items():
        other = dataclasses.replace(DATASETS.get(data), version="2")
        with monkeypatch.context() as patch:
            patch.setitem(DATASETS._things, data, other)
            after = keys()
        assert {name for name in before if before[name] != after[name]} == checks
