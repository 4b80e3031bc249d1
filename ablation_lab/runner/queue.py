"""The queue: which cells wait, run, are done. Optuna keeps it, as it keeps what tuning tried.

An Optuna trial is a cell, a reported step is a replicate, so Optuna's dashboard and importance
evaluators read the grid as it is. A cell is leased by setting its trial from WAITING to RUNNING,
which the storage grants to one runner only; the holder (host and process) tells a lease that is
alive from one whose runner was killed, because Optuna itself never ends a killed trial.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from ablation_lab.store import process
from ablation_lab.store.connect import alone
from ablation_lab.store.trials import open_storage, report_steps, said_of_trials, trial_id
from ablation_lab.study.metric import METRICS, SUCCESS, Metric

CELL = "cell"
LEASE = "lease"
# A lease of another host is dead after this long without renewal, in seconds.
EXPIRY = 120.0


@dataclass(frozen=True)
class Lease:
    """A leased cell: its name and the trial that stands for it."""

    cell: str
    trial_id: int


class Queue:
    """The cells of one study under one profile, in an Optuna storage.

    ``levels`` are the levels of every factor. They are part of the Optuna study's name, because
    Optuna refuses a categorical parameter whose choices change. ``metric`` is what is reported.
    """

    def __init__(
        self,
        uri: str,
        name: str,
        levels: Mapping[str, tuple[str, ...]],
        metric: Metric | None = None,
    ) -> None:
        self.metric = metric or METRICS.get(SUCCESS).metric
        self._levels = levels
        digest = hashlib.sha256(json.dumps(levels, sort_keys=True).encode()).hexdigest()[:8]
        self._uri = uri
        self._storage = open_storage(uri)
        self._study = optuna.create_study(
            study_name=f"{name} {digest}",
            storage=self._storage,
            direction="maximize" if self.metric.higher_is_better else "minimize",
            load_if_exists=True,
            sampler=optuna.samplers.RandomSampler(seed=0),
        )
        self._holder = process.name()
        self._leases: dict[str, Lease] = {}
        # Leases are renewed by another thread than the one that ends cells.
        self._changing = threading.Lock()

    def lease(self, cells: Mapping[str, Mapping[str, str]]) -> list[str]:
        """Lease the given cells (name → factor levels); return those that another runner holds."""
        # Optuna cannot lock the trial that it looks at: to add and to take is one step for all.
        with alone(self._uri, "lock", of=self._study.study_name, patience=EXPIRY):
            trials = self._open_trials(cells)
            self._add([name for name in cells if name not in trials], cells)
            trials = self._open_trials(cells)
            # A cell without an open trial was finished by another runner just now.
            return [n for n in cells if n not in trials or not self._take(n, trials[n])]

    def is_shared(self, *, since: float) -> bool:
        """Whether another runner held any cell at that time, in seconds, or later.

        Leases are renewed more often than they expire: one that ended before is older than that.
        """
        leases = [
            str(lease).rpartition("@")
            for lease in said_of_trials(self._storage, self._study, LEASE)
        ]
        return any(
            holder != self._holder and float(renewed) >= since - EXPIRY
            for holder, _, renewed in leases
        )

    def report(self, cell: str, values: Mapping[int, float]) -> None:
        """Report metrics (replicate → value) as steps of the cell's trial, in one transaction."""
        lease = self._leases.get(cell)
        steps = {step: value for step, value in values.items() if not math.isnan(value)}
        if lease is not None and steps:
            report_steps(self._storage, lease.trial_id, steps)

    def finish(self, cell: str) -> None:
        """Close a cell with the mean of its reported replicates, or as failed if it has none."""
        with self._changing:
            lease = self._leases.pop(cell, None)
        if lease is None:
            return
        numbers = list(self._storage.get_trial(lease.trial_id).intermediate_values.values())
        if numbers:
            mean = sum(numbers) / len(numbers)
            self._storage.set_trial_state_values(lease.trial_id, TrialState.COMPLETE, [mean])
        else:
            self._storage.set_trial_state_values(lease.trial_id, TrialState.FAIL)

    def release(self) -> None:
        """Put every cell that is still leased back to waiting."""
        with self._changing:
            given_up = list(self._leases.values())
            self._leases.clear()
        for lease in given_up:
            self._storage.set_trial_state_values(lease.trial_id, TrialState.WAITING)

    def renew(self) -> None:
        """Tell other hosts that the leases are alive; a thread of its own may do so."""
        for cell in list(self._leases):
            # A cell that is finished meanwhile is leased no more, and takes no holder.
            with self._changing:
                lease = self._leases.get(cell)
                if lease is not None:
                    self._write_holder(lease.trial_id)

    def _open_trials(self, cells: Mapping[str, Any]) -> dict[str, FrozenTrial]:
        states = (TrialState.WAITING, TrialState.RUNNING)
        trials = self._study.get_trials(deepcopy=False, states=states)
        found = {str(trial.user_attrs.get(CELL)): trial for trial in reversed(trials)}
        return {name: trial for name, trial in found.items() if name in cells}

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

    def _take(self, name: str, trial: FrozenTrial) -> bool:
        number = trial_id(trial)
        if trial.state is TrialState.RUNNING:
            if self._is_held(str(trial.user_attrs.get(LEASE, ""))):
                return False
            self._storage.set_trial_state_values(number, TrialState.WAITING)
        if not self._storage.set_trial_state_values(number, TrialState.RUNNING):
            return False
        self._write_holder(number)
        self._leases[name] = Lease(name, number)
        return True

    def _is_held(self, lease: str) -> bool:
        """Whether a lease ``host:pid@time`` is held by a process that lives.

        One in this process's own name is left over from an earlier process with its number.
        """
        holder, _, renewed = lease.rpartition("@")
        lives = process.is_alive(holder)
        if lives is None:
            return bool(renewed) and time.time() - float(renewed) < EXPIRY
        return lives and holder != self._holder

    def _write_holder(self, number: int) -> None:
        self._storage.set_trial_user_attr(number, LEASE, f"{self._holder}@{time.time():.0f}")
