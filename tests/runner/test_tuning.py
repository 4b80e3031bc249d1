"""Nuisance factors: equal budgets, validation only, own replicates, chosen values in keys."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from ablation_lab.engines.contract import Done
from ablation_lab.errors import ConfigurationError
from ablation_lab.runner.tuning import STARTUP, Tuner
from ablation_lab.study.budget import Tuning
from ablation_lab.study.declare import declaration_of, declare
from ablation_lab.study.looks import FIRST_TUNING_REPLICATE
from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.study.schema import parse_study
from ablation_lab.training.execute import validation_score

RATE = "learning_rate"


def study(trials: int = 6, replicates: int = 2) -> dict[str, Any]:
    """Two widths of a softmax-like network; the rate is tuned, and one level is far too small."""
    return {
        "title": "t", "question": "q", "source": "s", "metric": "test_accuracy",
        "run": {
            "model": {"family": "mlp"}, "data": {"name": "digits", "train_size": 100},
            "optimizer": {"name": "adam"}, "training": {"epochs": 2, "batch_size": 50},
        },
        "factors": {
            "width": {"key": "model.widths", "levels": [[4], [8]]},
            RATE: {"role": "nuisance", "key": "optimizer.learning_rate",
                   "levels": [1e-9, 0.02, 0.001]},
        },
        "profiles": {"smoke": {
            "replicates": 2, "tuning": {"trials": trials, "replicates": replicates}}},
    }  # fmt: skip


class Here:
    """An engine that keeps count: it trains for real, or gives a value for each learning rate."""

    def __init__(self, value: Callable[[Stack], float] = validation_score) -> None:
        self.value = value
        self.stacks: list[Stack] = []

    def map(
        self, function: Callable[[Stack], float], jobs: Iterable[Stack]
    ) -> Iterator[Done[Stack, float]]:
        assert function is validation_score
        for job in jobs:
            self.stacks.append(job)
            yield Done(job, self.value(job))


def by_rate(values: dict[float, float]) -> Callable[[Stack], float]:
    return lambda stack: values[stack.runs[0].config["optimizer"]["learning_rate"]]


@pytest.fixture
def new_tuner(tmp_path: Path) -> Callable[[dict[str, Any]], Tuner]:
    uri = f"sqlite:///{tmp_path / 'queue.db'}"
    return lambda value: Tuner(uri, parse_study("small", value), "smoke")


def tune(tuner: Tuner, engine: Here) -> dict[str, dict[str, str]]:
    tuner.tune(engine, list(tuner.cells), data_root=None, plugins=())
    return tuner.choices()


@pytest.mark.slow
def test_every_cell_gets_the_best_level_on_validation_for_an_equal_budget(
    new_tuner: Callable[[dict[str, Any]], Tuner], tmp_path: Path
) -> None:
    engine, tuner = Here(), new_tuner(study())
    choices = tune(tuner, engine)
    assert {choice[RATE] for choice in choices.values()} == {"0.02"}
    assert len(choices) == 2
    trials = [ledger.trials for ledger in optuna_studies(tmp_path)]
    assert [len(each) for each in trials] == [6, 6]
    replicates = {run.replicate for stack in engine.stacks for run in stack.runs}
    assert replicates == {FIRST_TUNING_REPLICATE, FIRST_TUNING_REPLICATE + 1}
    keys = [stack.runs[0].key for stack in engine.stacks]
    assert len(keys) == len(set(keys))  # levels that are proposed again are not trained again


def optuna_studies(folder: Path) -> list[optuna.Study]:
    uri = f"sqlite:///{folder / 'queue.db'}"
    names = optuna.get_all_study_names(uri)
    return [optuna.load_study(study_name=name, storage=uri) for name in names]


@pytest.mark.slow
def test_what_is_tuned_is_not_tuned_again_and_a_new_budget_is(
    new_tuner: Callable[[dict[str, Any]], Tuner],
) -> None:
    values = by_rate({1e-9: 0.1, 0.02: 0.8, 0.001: 0.9})
    first, again, more = Here(values), Here(values), Here(values)
    choices = tune(new_tuner(study()), first)
    assert new_tuner(study()).choices() == choices
    assert tune(new_tuner(study()), again) == choices
    assert again.stacks == []
    assert new_tuner(study(trials=8)).choices() == {}
    tune(new_tuner(study(trials=8)), more)
    assert more.stacks != []


@pytest.mark.slow
def test_a_call_that_was_cut_off_goes_on_to_the_same_choices(
    new_tuner: Callable[[dict[str, Any]], Tuner], tmp_path: Path
) -> None:
    values = by_rate({1e-9: 0.1, 0.02: 0.8, 0.001: 0.9})
    left = iter(range(5))

    def dies(stack: Stack) -> float:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return values(stack)

    with pytest.raises(KeyboardInterrupt):
        tune(new_tuner(study()), Here(dies))
    choices = tune(new_tuner(study()), Here(values))
    assert {choice[RATE] for choice in choices.values()} == {"0.001"}
    ended = [t for each in optuna_studies(tmp_path) for t in each.trials if t.state.is_finished()]
    assert len([t for t in ended if t.state is not optuna.trial.TrialState.FAIL]) == 12


@pytest.mark.slow
def test_trials_that_are_worse_than_most_are_pruned(
    new_tuner: Callable[[dict[str, Any]], Tuner], tmp_path: Path
) -> None:
    levels = [float(level) for level in range(1, 31)]
    value = study(trials=STARTUP + 8)
    value["factors"][RATE]["levels"] = levels
    tune(new_tuner(value), Here(by_rate({level: level / 100 for level in levels})))
    states = [trial.state for each in optuna_studies(tmp_path) for trial in each.trials]
    assert states.count(optuna.trial.TrialState.PRUNED) > 0
    assert states.count(optuna.trial.TrialState.COMPLETE) >= 2 * STARTUP


def test_a_run_that_diverges_is_the_worst_and_one_that_raises_stops_everything(
    new_tuner: Callable[[dict[str, Any]], Tuner],
) -> None:
    choices = tune(new_tuner(study()), Here(by_rate({1e-9: 0.1, 0.02: math.nan, 0.001: 0.2})))
    assert {choice[RATE] for choice in choices.values()} == {"0.001"}

    class Broken(Here):
        def map(self, function: Any, jobs: Iterable[Stack]) -> Iterator[Done[Stack, float]]:
            yield from (Done(job, None, "ValueError: no") for job in jobs)

    with pytest.raises(ConfigurationError, match=r"width=\[4\]: tuning failed: ValueError: no"):
        tune(new_tuner(study(trials=7)), Broken())


def test_the_chosen_level_is_in_the_key_the_run_and_the_declaration() -> None:
    parsed = parse_study("small", study())
    cells = {"width=[4]": {RATE: "0.02"}, "width=[8]": {RATE: "0.001"}}
    declared = declare(parsed, "smoke", choices=cells)
    other = declare(parsed, "smoke", choices={**cells, "width=[8]": {RATE: "0.02"}})
    both = zip(declared.runs, other.runs, strict=True)
    assert {one.cell for one, two in both if one.key != two.key} == {"width=[8]"}
    run = declared.runs[0]
    assert run.config["optimizer"]["learning_rate"] == 0.02
    assert run.tuned == {"chosen": {RATE: "0.02"}, "trials": 6, "replicates": 2}
    assert run.factors == {"width": "[4]"}
    made = declaration_of(declared, {})
    assert made.tuning == Tuning(trials=6, replicates=2)
    assert [factor.role for factor in made.factors] == ["scientific", "nuisance"]
    assert made.cells[1].factors == {"width": "[8]", RATE: "0.001"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s["profiles"]["smoke"].pop("tuning"), "found no tuning and factors learning"),
        (lambda s: s["factors"].pop(RATE), "found tuning and factors none"),
        (lambda s: s["factors"][RATE].update(levels=[0.1]), "over at least two levels"),
        (lambda s: s["factors"][RATE].update(when={"width": [4]}), "width: unknown level '4'"),
        (lambda s: s["profiles"]["smoke"].update(tuning={"trials": 0, "replicates": 1}),
         "tuning.trials: expected at least 1, found 0"),
        (lambda s: s["profiles"]["smoke"].update(replicates=2_000_000), "at most 1000000"),
        (lambda s: s.update(baseline={RATE: 0.02}), "unknown factor 'learning_rate'"),
    ],
)  # fmt: skip
def test_wrong_nuisance_factors_are_refused(change: Callable[[Any], Any], words: str) -> None:
    value = study()
    change(value)
    with pytest.raises(ConfigurationError, match=words):
        parse_study("small", value)


def test_neither_ensembles_nor_data_without_a_validation_set_can_be_tuned() -> None:
    value = study()
    value["factors"]["size"] = {"key": "ensemble.size", "levels": [1, 2]}
    with pytest.raises(ConfigurationError, match="nothing can be tuned in it"):
        declare(parse_study("small", value), "smoke")
    value = study()
    value["run"]["data"] = {"name": "xor"}
    with pytest.raises(ConfigurationError, match="tuning of nuisance factors chooses on the valid"):
        declare(parse_study("small", value), "smoke")


def test_a_trial_keeps_the_remainder_of_an_epoch_where_its_run_will(
    make_run: Callable[..., Run],
) -> None:
    def value(**training: Any) -> float:
        settings = {"epochs": 3, "batch_size": 8, **training}
        run = make_run(
            model__init="xavier_uniform",
            data={"name": "digits", "train_size": 15},
            optimizer={"name": "adam", "learning_rate": 0.05},
            training=settings,
        )
        return validation_score(Stack((run,), TrainerName.SINGLE, "a test"))

    assert value(drop_last=False) != value()
