"""The queue: which cells wait, run, are done. Optuna keeps it, as it keeps what tuning tried.

An Optuna trial is a cell, a reported step is a replicate, so Optuna's dashboard and importance
evaluators read the grid as it is. Who works on a cell is said by its lease: Optuna itself never
ends the trial of a runner that was killed.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from ablation_lab.store.leases import Leases, Taken, locked
from ablation_lab.store.trials import open_storage, report_steps, trial_id

CELL = "cell"


class Queue:
    """The cells of one study under one profile, in an Optuna storage.

    ``levels`` are the levels of every factor. They are part of the Optuna study's name, because
    Optuna refuses a categorical parameter whose choices change. ``higher_is_better`` is said of
    what is reported. ``token`` is that of a runner who is gone, in whose place this one reports.
    """

    def __init__(
        self,
        uri: str,
        name: str,
        levels: Mapping[str, Sequence[str]],
        *,
        higher_is_better: bool = True,
        token: str = "",
    ) -> None:
        self._levels = levels
        digest = hashlib.sha256(json.dumps(levels, sort_keys=True).encode()).hexdigest()[:8]
        self._uri = uri
        self._storage = open_storage(uri)
        self._study = optuna.create_study(
            study_name=f"{name} {digest}",
            storage=self._storage,
            direction="maximize" if higher_is_better else "minimize",
            load_if_exists=True,
            sampler=optuna.samplers.RandomSampler(seed=0),
        )
        # Levels that are declared anew are another study, and the same cells.
        self._leases = Leases(uri, name, self._storage.engine, token)
        # By what it is opened again, in the place of this runner.
        self.opening: dict[str, Any] = {
            "name": name,
            "levels": levels,
            "higher_is_better": higher_is_better,
            "token": self._leases.token,
        }
        # Cell -> the trial that stands for it, of those that this runner works on.
        self._trials: dict[str, int] = {}

    def lease(self, cells: Mapping[str, Mapping[str, str]]) -> Taken:
        """Lease those of the cells (name → factor levels) that no other runner holds."""
        with locked(self._uri):
            taken = self._leases.take(cells)
            mine = [name for name in cells if name in taken.cells]
            trials = self._open_trials()
            self._add([name for name in mine if name not in trials], cells)
            trials = self._open_trials()
            for name in mine:
                self._begin(name, trials[name])
        return taken

    def held(self, cells: Collection[str]) -> frozenset[str]:
        """Return those of the cells whose results may be written, while the queue is `locked`.

        A cell that was taken from this runner is not its own any more.
        """
        held = self._leases.held(cells)
        for cell in set(cells) - held:
            self._trials.pop(cell, None)
        return held

    def settle(self, wanted: Collection[str]) -> None:
        """Close the cells, but those that are wanted, of runners that died before they did."""
        with locked(self._uri):
            left = {name: t for name, t in self._open_trials().items() if name not in wanted}
            started = [name for name, t in left.items() if t.state is TrialState.RUNNING]
            for name in self._leases.take(started).cells:
                self._trials[name] = trial_id(left[name])
                self.finish(name)

    def report(self, cell: str, values: Mapping[int, float]) -> None:
        """Report metrics (replicate → value) as steps of the cell's trial, in one transaction."""
        steps = {step: value for step, value in values.items() if not math.isnan(value)}
        if cell in self._trials and steps:
            report_steps(self._storage, self._trials[cell], steps)

    def begin_again(self, cells: Collection[str]) -> frozenset[str]:
        """Go on with the trials of cells of a runner who is gone; return those still its own."""
        held = self._leases.held(cells)
        found = self._open_trials()
        self._trials |= {cell: trial_id(found[cell]) for cell in held if cell in found}
        return held

    def finish(self, cell: str) -> None:
        """Close a cell with the mean of its reported replicates, or as failed if it has none."""
        number = self._trials.get(cell)
        if number is None:
            return
        trial = self._storage.get_trial(number)
        reported = list(trial.intermediate_values.values())
        if reported and not trial.state.is_finished():
            mean = sum(reported) / len(reported)
            self._storage.set_trial_state_values(number, TrialState.COMPLETE, [mean])
        elif not reported:
            self._storage.set_trial_state_values(number, TrialState.FAIL)
        self._leases.free([cell])
        # Last: what failed half-way is done again.
        del self._trials[cell]

    def release(self) -> None:
        """Put every cell that is still leased back to waiting."""
        cells = list(self._trials)
        with locked(self._uri):
            for cell in self._leases.held(cells):
                self._storage.set_trial_state_values(self._trials[cell], TrialState.WAITING)
            self._leases.free(cells)
        self._trials.clear()

    def renew(self) -> None:
        """Tell other runners that this one lives; a thread of its own may do so."""
        self._leases.renew()

    def _open_trials(self) -> dict[str, FrozenTrial]:
        """Return the trial of every cell that has one which has not ended."""
        states = (TrialState.WAITING, TrialState.RUNNING)
        trials = self._study.get_trials(deepcopy=False, states=states)
        return {str(trial.user_attrs.get(CELL)): trial for trial in reversed(trials)}

    def _add(self, names: list[str], cells: Mapping[str, Mapping[str, str]]) -> None:
        """Add cells in bulk, each with one level a factor so that no sampler is asked."""
        self._study.add_trials(
            [
                create_trial(
                    state=TrialState.WAITING,
                    params=dict(cells[name]),
                    distributions={
                        factor: CategoricalDistribution(self._levels[factor])
                        for factor in cells[name]
                    },
                    user_attrs={CELL: name},
                )
                for name in names
            ]
        )

    def _begin(self, name: str, trial: FrozenTrial) -> None:
        self._trials[name] = trial_id(trial)
        if trial.state is TrialState.WAITING:
            self._storage.set_trial_state_values(self._trials[name], TrialState.RUNNING)
