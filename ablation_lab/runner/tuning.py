"""Nuisance factors: tuned on validation in every cell, with an equal budget, before it is reported.

Comes in: a study with nuisance factors, under a profile. Goes out: for each cell the levels that
were best on validation. An Optuna study holds the trials of one cell: all combinations of levels if
the budget has room for them, else those that TPE proposes. Each trial trains the tuning replicates
one by one, and the median pruner ends a trial that is worse than most. The replicates are no
reporting ones, and no test set is read.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import product

import optuna
from optuna.trial import FrozenTrial, TrialState

from ablation_lab.engines.contract import Engine
from ablation_lab.errors import ConfigurationError
from ablation_lab.store.connect import alone
from ablation_lab.store.trials import open_storage
from ablation_lab.study.budget import Tuning
from ablation_lab.study.grid import Cell, expand
from ablation_lab.study.key import run_key
from ablation_lab.study.looks import FIRST_TUNING_REPLICATE
from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.study.schema import Study
from ablation_lab.training.execute import validation_score
from ablation_lab.training.fault import place_of

# Trials of a cell before its pruner compares, and before TPE does more than draw.
STARTUP = 4
DAY = 86_400.0


@dataclass(frozen=True)
class Trial:
    """A trial that runs: the cell as the proposed levels make it, and the values so far."""

    cell: Cell
    trial: optuna.Trial
    values: list[float]


class Tuner:
    """The tuning of one study under one profile, kept in the Optuna storage at ``uri``."""

    def __init__(self, uri: str, study: Study, profile: str) -> None:
        self._study, self._profile = study, profile
        self._budget: Tuning = study.budget(profile).tuning or Tuning.model_construct(
            trials=0, replicates=0
        )
        self._uri = uri
        self._storage = open_storage(uri)
        cells = [cell for cell in expand(study, profile) if not cell.reason]
        self._searches = {cell.name: self._search(cell) for cell in cells}

    @property
    def cells(self) -> tuple[str, ...]:
        """The names of the cells to tune."""
        return tuple(self._searches)

    def choices(self) -> dict[str, dict[str, str]]:
        """Return the best levels of every cell whose budget is spent."""
        return {
            name: dict(_best(search).params)
            for name, search in self._searches.items()
            if not self._missing(search)
        }

    def tune(
        self,
        engine: Engine,
        cells: Collection[str],
        *,
        data_root: str | None,
        plugins: tuple[str, ...],
        goes_on: Callable[[], bool] = lambda: True,
    ) -> None:
        """Spend the budget of these cells; another runner that tunes is awaited.

        No trial begins once ``goes_on`` says no; what is done by then is kept.
        Errors: ``ConfigurationError`` with the first run that raised.
        """
        name = f"{self._study.name} ({self._profile}) tuning"
        with alone(self._uri, "tuning", of=name, patience=DAY):
            self._end_what_was_killed()
            mine = {name: self._searches[name] for name in cells}
            while goes_on() and (open_cells := [n for n, e in mine.items() if self._missing(e)]):
                trials = [self._ask(name) for name in open_cells]
                for replicate in range(self._budget.replicates):
                    trials = self._train(trials, replicate, engine, data_root, plugins)
                for each in trials:
                    self._searches[each.cell.name].tell(each.trial, _mean(each.values))

    def _search(self, cell: Cell) -> optuna.Study:
        """Return a cell's Optuna study; whatever changes the values makes it another one."""
        levels = {f.name: [(v, f.settings[v]) for v in f.levels] for f in self._study.nuisances}
        key = run_key(cell.config, self._study.seed, FIRST_TUNING_REPLICATE)
        parts = [key, levels, self._budget.trials, self._budget.replicates]
        text = json.dumps(parts, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        higher = self._study.metric.higher_is_better
        return optuna.create_study(
            study_name=f"{self._study.name} ({self._profile}) tuning {cell.name} {digest}",
            storage=self._storage,
            direction="maximize" if higher else "minimize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP),
        )

    def _missing(self, search: optuna.Study) -> int:
        return self._budget.trials - len(_ended(search))

    def _end_what_was_killed(self) -> None:
        for search in self._searches.values():
            for trial in search.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                search.tell(trial.number, state=TrialState.FAIL)

    def _ask(self, name: str) -> Trial:
        """Propose levels for a cell: each combination once if the budget allows, else by TPE.

        A trial's seed is a hash of names, so that a call cut off changes none.
        """
        search = self._searches[name]
        number = len(_ended(search))
        text = f"{self._study.name}/{self._profile}/{name}/{number}"
        seed = int(hashlib.sha256(text.encode()).hexdigest()[:7], 16)
        search.sampler = optuna.samplers.TPESampler(n_startup_trials=STARTUP, seed=seed)
        every = self._combinations()
        if number < len(every) <= self._budget.trials:
            search.enqueue_trial(every[number], skip_if_exists=True)
        trial = search.ask()
        labels = {
            factor.name: trial.suggest_categorical(factor.name, list(factor.levels))
            for factor in self._study.nuisances
        }
        cells = expand(self._study, self._profile, choices={name: labels})
        return Trial(next(cell for cell in cells if cell.name == name), trial, [])

    def _combinations(self) -> list[dict[str, str]]:
        """Return every combination of the levels of the nuisance factors, in declared order."""
        names = [factor.name for factor in self._study.nuisances]
        labels = [factor.levels for factor in self._study.nuisances]
        return [dict(zip(names, chosen, strict=True)) for chosen in product(*labels)]

    def _train(
        self,
        trials: list[Trial],
        replicate: int,
        engine: Engine,
        data_root: str | None,
        plugins: tuple[str, ...],
    ) -> list[Trial]:
        """Train one more replicate of every trial; return the trials that go on."""
        jobs = {}
        for each in trials:
            known = self._known(each, replicate)
            if known is None:
                run = self._run(each.cell, FIRST_TUNING_REPLICATE + replicate)
                jobs[each.cell.name] = Stack(
                    (run,), TrainerName.SINGLE, "tuning", data_root, plugins
                )
            else:
                each.values.append(known)
        values = self._values(engine, jobs.values())
        for each in trials:
            if each.cell.name in values:
                each.values.append(values[each.cell.name])
            # Optuna's pruner compares means over as many replicates, its trials' steps.
            each.trial.report(_mean(each.values), replicate)
        pruned = [each for each in trials if each.trial.should_prune()]
        for each in pruned:
            self._searches[each.cell.name].tell(each.trial, state=TrialState.PRUNED)
        return [each for each in trials if each not in pruned]

    def _values(self, engine: Engine, jobs: Iterable[Stack]) -> dict[str, float]:
        worst = self._study.metric.worst
        found = {}
        for done in engine.map(validation_score, jobs):
            run = done.job.runs[0]
            if done.result is None:
                place = place_of(done.traceback, done.job.plugins)
                raise ConfigurationError(
                    f"{self._study.place}: {run.cell}: tuning failed"
                    f"{f' ({place})' if place else ''}: {done.error}"
                )
            found[run.cell] = worst if math.isnan(done.result) else done.result
        return found

    def _known(self, each: Trial, replicate: int) -> float | None:
        """Return the value of the same levels in an earlier trial: no run is trained twice."""
        for earlier in _ended(self._searches[each.cell.name]):
            if earlier.params == each.trial.params and replicate in earlier.intermediate_values:
                means = earlier.intermediate_values
                return (replicate + 1) * means[replicate] - sum(each.values)
        return None

    def _run(self, cell: Cell, replicate: int) -> Run:
        return Run(
            study=self._study.name,
            profile=self._profile,
            cell=cell.name,
            replicate=replicate,
            key=run_key(cell.config, self._study.seed, replicate),
            seed=self._study.seed,
            config=cell.config,
            factors=cell.factors,
        )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _ended(search: optuna.Study) -> list[FrozenTrial]:
    return search.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def _best(search: optuna.Study) -> FrozenTrial:
    """Return the best complete trial, the first one of equals."""
    complete = search.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    sign = -1 if search.direction is optuna.study.StudyDirection.MAXIMIZE else 1
    return min(complete, key=lambda trial: (sign * (trial.value or 0.0), trial.number))
