"""The complete configuration of a cell: later settings win, wrong ones are named."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ablation_lab.errors import ConfigurationError
from ablation_lab.study.settings import resolve

PLACE = "study/small.yaml: width=small"

BAD: list[tuple[str, Any, str]] = [
    ("modell.init", "normal", ": unknown key 'modell.init'; nearest: 'model'"),
    ("model.initt", "normal", ": model: unknown key 'initt'; nearest: 'init'"),
    ("model.family", "mpl", ": model.family: unknown name 'mpl'; nearest: 'mlp'"),
    ("model.family", ["mlp"], ": model.family: unknown name ['mlp']"),
    ("model", "mlp", ": model: expected a mapping with 'family', found 'mlp'"),
    ("model", {"widths": [2]}, ": model: expected a mapping with 'family'"),
    ("model.keep_prob", 0, ": model.keep_prob: expected a probability to keep in (0, 1], found 0"),
    ("model.keep_prob", 1.2, ": model.keep_prob: expected a probability to keep in (0, 1]"),
    ("model.keep_prob", True, ": model.keep_prob: expected a probability to keep in (0, 1]"),
    ("model.widths", [3, 0], ": model.widths: expected a list of positive integers, found [3, 0]"),
    ("model.widths", 3, ": model.widths: expected a list of positive integers, found 3"),
    ("model.activation", 3, ": model.activation: expected str, found 3"),
    ("model", {"family": "char_rnn", "width": 2.5}, ": model.width: expected int or null, found 2"),
    ("model", {"family": "resnet", "blocks": [3]}, ": model.blocks: expected int, found [3]"),
    ("model", {"family": "resnet", "augment": 1}, ": model.augment: expected bool, found 1"),
    (
        "model",
        {"family": "fitnet", "stages": [8]},
        ": model.stages: expected list[list[int]]",
    ),
    ("training.trainer", {"clip": 1}, ": training.trainer: unknown key 'clip'"),
    ("training.trainer.max_epochs", 3, ": training.trainer.max_epochs: the lab gives it; use tra"),
    ("training.trainer.callbacks", [], ": training.trainer.callbacks: the lab gives it; return"),
    ("training.trainer.min_epochs", 1.5, ": training.trainer.min_epochs: expected "),
    ("training.steps.trainer", 1, ": training.steps: expected a mapping, found 20"),
    ("data.name", "xro", ": data.name: unknown name 'xro'; nearest: 'xor'"),
    ("data.train_size", 0, ": data.train_size: expected a positive integer or null, found 0"),
    ("data.size", 5, ": data: unknown key 'size'"),
    ("optimizer.learning_rate", -0.1, ": optimizer.learning_rate: expected a finite number > 0"),
    ("optimizer.learning_rate", 0, ": optimizer.learning_rate: expected a finite number > 0"),
    ("optimizer.learning_rate", None, ": optimizer.learning_rate: expected a finite number"),
    ("optimizer.learning_rate", "0.1", ": optimizer.learning_rate: expected a finite number"),
    ("optimizer.learning_rate", float("nan"), ": optimizer.learning_rate: expected a finite"),
    ("optimizer", {"name": "sgd"}, ": optimizer.learning_rate: expected a value (float), found no"),
    ("optimizer.momentum", "much", ": optimizer.momentum: expected a finite number in [0, 1), fou"),
    ("optimizer.nesterov", 1, ": optimizer.nesterov: expected bool, found 1"),
    ("optimizer.epsilon", 1e-8, ": optimizer: unknown key 'epsilon'; known: name, learning_rate"),
    ("optimizer.name", "adamm", ": optimizer.name: unknown name 'adamm'; nearest: 'adam"),
    (
        "optimizer",
        {"name": "adamw", "learning_rate": 1, "betas": [0.9]},
        ": optimizer.betas: expected tuple[float, float], found [0.9]",
    ),
    (
        "optimizer.momentum",
        -1.0,
        ": optimizer.momentum: expected a finite number in [0, 1), found -1.0",
    ),
    ("optimizer.lr", 0.1, ": optimizer: unknown key 'lr'"),
    ("optimizer", {"learning_rate": 1.0}, ": optimizer: expected a mapping with 'name', fo"),
    ("scheduler", {"name": "cosin"}, ": scheduler.name: unknown name 'cosin'; nearest: 'cosine'"),
    ("scheduler", {"name": "cosine"}, ": scheduler.T_max: expected a value (int), found none"),
    ("scheduler", {"T_max": 3}, ": scheduler: expected a mapping with 'name', found {'T_max': 3}"),
    ("scheduler", {"name": "step", "step_sise": 3}, ": scheduler: unknown key 'step_sise'; near"),
    (
        "scheduler",
        {"name": "step", "step_size": 3, "interval": "batch"},
        ": scheduler.interval: expected Literal['epoch', 'step'], found 'batch'",
    ),
    ("training.steps", 0, ": training.steps: expected at least 1, found 0"),
    ("training.steps", None, ": training: expected either 'epochs' or 'steps', found epochs=None"),
    ("training.epochs", 3, ": training: expected either 'epochs' or 'steps', found epochs=3 and"),
    ("training.batch_size", 0, ": training.batch_size: expected at least 1, found 0"),
    (
        "training.loss",
        "printd",
        ": training.loss: unknown value 'printd'; known: stable, unclip",
    ),
    ("training.drop_last", 1, ": training.drop_last: expected bool, found 1"),
    ("training.drop_last", False, ": training.batch_size: drop_last false needs a number of examp"),
    ("training.points", [5, 5.5], ": training.points[1]: expected int, found 5.5"),
    ("training.points", [9, 5], ": training.points: expected a rising list of positive integers"),
    ("training.l2", -1, ": training.l2: expected at least 0, found -1"),
    ("training.epoch", 3, ": training: unknown key 'epoch'; nearest: 'epochs'"),
    ("ensemble", {"size": 0}, ": ensemble.size: expected at least 1, found 0"),
    ("ensemble.rule", "votes", ": ensemble.rule: unknown value 'votes'; nearest: 'vote'"),
    ("ensemble.members", 3, ": ensemble: unknown key 'members'"),
]


@pytest.mark.parametrize(("key", "value", "rest"), BAD, ids=[f"{row[0]}={row[1]}" for row in BAD])
def test_bad_setting(config: dict[str, Any], key: str, value: Any, rest: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        resolve(config, [{key: value}], PLACE)
    lines = str(error.value).splitlines()
    assert [line for line in lines if line.startswith(PLACE + rest)]
    assert all(line.startswith(f"{PLACE}: ") for line in lines)
    assert len(lines) == len(set(lines)) <= 2


def test_unknown_section_of_the_run(config: dict[str, Any]) -> None:
    config["optimiser"] = config.pop("optimizer")
    with pytest.raises(ConfigurationError, match="unknown key 'optimiser'; nearest: 'optimizer'"):
        resolve(config, [], PLACE)


def test_dotted_key_into_a_value_that_is_no_mapping() -> None:
    with pytest.raises(ConfigurationError, match="model: expected a mapping, found 'mlp'"):
        resolve({"model": "mlp"}, [{"model.init": "normal"}], PLACE)


def test_a_schedule_is_complete_or_absent(config: dict[str, Any]) -> None:
    assert "scheduler" not in resolve(config, [], PLACE)
    given = {"scheduler.name": "step", "scheduler.step_size": 5}
    assert resolve(config, [given], PLACE)["scheduler"] == {
        "name": "step",
        "step_size": 5,
        "gamma": 0.1,
        "interval": "epoch",
    }


def test_a_family_that_would_ignore_a_schedule_refuses_it(config: dict[str, Any]) -> None:
    schedule = {"name": "step", "step_size": 5}
    with pytest.raises(ConfigurationError, match="'gan' has no argument 'scheduler' and would ig"):
        resolve(config, [{"model": {"family": "gan"}, "scheduler": schedule}], PLACE)


LINEAR = {"family": "linear", "init": "xavier_uniform", "bias_init": "zeros"}


def test_defaults_fill_what_is_not_given(config: dict[str, Any]) -> None:
    resolved = resolve(config, [], PLACE)
    assert resolved["model"] == {
        "family": "mlp",
        "widths": [3],
        "activation": "relu",
        "init": "normal",
        "bias_init": "normal",
        "keep_prob": 1.0,
    }
    assert resolved["data"] == {"name": "xor", "train_size": None}
    assert resolved["training"]["l2"] == 0.0
    assert "ensemble" not in resolved


def test_later_overrides_win_and_a_section_replaces(config: dict[str, Any]) -> None:
    changes = [
        {"model.init": "he_normal", "optimizer.learning_rate": 1},
        {"model": {"family": "linear"}},
        {"optimizer.learning_rate": 0.5},
    ]
    resolved = resolve(config, changes, PLACE)
    assert resolved["model"] == LINEAR
    assert resolved["optimizer"]["learning_rate"] == 0.5


def test_inputs_stay_as_they_are(config: dict[str, Any]) -> None:
    changes = [{"model.widths": [7]}]
    before = copy.deepcopy((config, changes))
    resolved = resolve(config, changes, PLACE)
    resolved["model"]["widths"].append(1)
    resolved["optimizer"]["name"] = "adam"
    assert (config, changes) == before


def test_keep_prob_one_is_right(config: dict[str, Any]) -> None:
    resolved = resolve(config, [{"model.keep_prob": 1}], PLACE)
    assert resolved["model"]["keep_prob"] == 1


def test_an_argument_of_a_trainer_is_a_setting_like_any_other(config: dict[str, Any]) -> None:
    clipped = resolve(config, [{"training.trainer.gradient_clip_val": 0.5}], PLACE)
    assert clipped["training"]["trainer"] == {"gradient_clip_val": 0.5}
    assert "trainer" not in resolve(config, [], PLACE)["training"]
