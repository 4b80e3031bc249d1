"""The ledger: which cells wait, run, are done. Optuna keeps it, as it keeps what tuning tried.

An Optuna trial is a cell, a reported step is a replicate, so Optuna's dashboard and importance
evaluators read the grid as it is. A cell is claimed by setting its trial from WAITING to RUNNING,
which the storage grants to one claimant only; a lease (host and process) tells a claim that is
alive from one whose driver was killed, because Optuna itself never ends a killed trial.
"""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.storages._rdb.models import TrialIntermediateValueModel
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import Engine, delete, func, insert, select

from ablation_lab.errors import StoreError, shown
from ablation_lab.store import process
from ablation_lab.store.places import SQLITE
from ablation_lab.store.sqlite import use_write_ahead_log
from ablation_lab.study.metric import METRICS, SUCCESS, Metric

CELL = "cell"
LEASE = "lease"
# A lease of another host is dead after this long without renewal, in seconds.
EXPIRY = 120.0


@dataclass(frozen=True)
class Claim:
    """A claimed cell: its name and the trial that stands for it."""

    cell: str
    trial_id: int


class Ledger:
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
        self._storage = storage(uri)
        self._study = optuna.create_study(
            study_name=f"{name} {digest}",
            storage=self._storage,
            direction="maximize" if self.metric.higher_is_better else "minimize",
            load_if_exists=True,
            sampler=optuna.samplers.RandomSampler(seed=0),
        )
        self._lease = process.name()
        self._claims: dict[str, Claim] = {}
        # Leases are renewed by another thread than the one that ends cells.
        self._changing = threading.Lock()

    def claim(self, cells: Mapping[str, Mapping[str, str]]) -> list[str]:
        """Claim the given cells (name → factor levels); return those that another driver holds."""
        with one_at_a_time(self._storage.engine, self._study.study_name):
            trials = self._open_trials(cells)
            self._add([name for name in cells if name not in trials], cells)
            trials = self._open_trials(cells)
            # A cell without an open trial was finished by another driver just now.
            return [n for n in cells if n not in trials or not self._take(n, trials[n])]

    def report(self, cell: str, values: Mapping[int, float]) -> None:
        """Report metrics (replicate → value) as steps of the cell's trial, in one transaction.

        Optuna's own call takes one step, and asks three questions for each.
        """
        claim = self._claims.get(cell)
        steps = {step: value for step, value in values.items() if not math.isnan(value)}
        if claim is None or not steps:
            return
        finite = TrialIntermediateValueModel.TrialIntermediateValueType.FINITE
        table = TrialIntermediateValueModel
        old = delete(table).where(table.trial_id == claim.trial_id, table.step.in_(list(steps)))
        rows = [
            {
                "trial_id": claim.trial_id,
                "step": step,
                "intermediate_value": value,
                "intermediate_value_type": finite,
            }
            for step, value in steps.items()
        ]
        with self._storage.engine.begin() as connection:
            connection.execute(old)
            connection.execute(insert(table), rows)

    def finish(self, cell: str) -> None:
        """Close a cell with the mean of its reported replicates, or as failed if it has none."""
        with self._changing:
            claim = self._claims.pop(cell, None)
        if claim is None:
            return
        numbers = list(self._storage.get_trial(claim.trial_id).intermediate_values.values())
        if numbers:
            mean = sum(numbers) / len(numbers)
            self._storage.set_trial_state_values(claim.trial_id, TrialState.COMPLETE, [mean])
        else:
            self._storage.set_trial_state_values(claim.trial_id, TrialState.FAIL)

    def release(self) -> None:
        """Put every cell that is still claimed back to waiting."""
        with self._changing:
            given_up = list(self._claims.values())
            self._claims.clear()
        for claim in given_up:
            self._storage.set_trial_state_values(claim.trial_id, TrialState.WAITING)

    def renew(self) -> None:
        """Tell other hosts that the claims are alive; a thread of its own may do so."""
        for cell in list(self._claims):
            # A cell that is finished meanwhile has no claim any more, and takes no lease.
            with self._changing:
                claim = self._claims.get(cell)
                if claim is not None:
                    self._write_lease(claim.trial_id)

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
        if trial.state is TrialState.RUNNING:
            if self._is_held(str(trial.user_attrs.get(LEASE, ""))):
                return False
            self._storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
        if not self._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
            return False
        self._write_lease(trial._trial_id)
        self._claims[name] = Claim(name, trial._trial_id)
        return True

    def _is_held(self, lease: str) -> bool:
        """Whether a lease ``host:pid@time`` is held by a process that lives.

        One in this process's own name is left over from an earlier process with its number.
        """
        holder, _, renewed = lease.rpartition("@")
        lives = process.is_alive(holder)
        if lives is None:
            return bool(renewed) and time.time() - float(renewed) < EXPIRY
        return lives and holder != self._lease

    def _write_lease(self, trial_id: int) -> None:
        self._storage.set_trial_user_attr(trial_id, LEASE, f"{self._lease}@{time.time():.0f}")


def storage(uri: str) -> optuna.storages.RDBStorage:
    """Open the Optuna storage at ``uri``, which is created where it does not exist.

    Errors: ``StoreError``.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    use_write_ahead_log()
    try:
        if uri.startswith(SQLITE):
            Path(uri.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
        return optuna.storages.RDBStorage(uri)
    except Exception as error:  # storages raise whatever their driver does
        text = " ".join(str(error).split())[:300]
        raise StoreError(f"ledger {shown(uri)}: cannot be opened: {text}") from None


@contextmanager
def one_at_a_time(
    engine: Engine, study: str, *, file: str = "lock", patience: float = EXPIRY
) -> Iterator[None]:
    """Let one driver at a time add to a study: that is no single step of Optuna's.

    On SQLite, which cannot lock the trial that Optuna looks at either, the lock is an empty
    database ``file`` beside the ledger, for which others wait ``patience`` seconds; on PostgreSQL
    it is an advisory lock of the study's name. A driver that dies lets go of both.
    """
    match engine.dialect.name:
        case "sqlite":
            lock = sqlite3.connect(f"{engine.url.database}.{file}", timeout=patience)
            try:
                lock.execute("BEGIN EXCLUSIVE")
                yield
            finally:
                lock.close()
        case "postgresql":
            digest = hashlib.sha256(study.encode()).digest()
            number = int.from_bytes(digest[:8], "big", signed=True)
            with engine.begin() as connection:
                connection.execute(select(func.pg_advisory_xact_lock(number)))
                yield
        case _:
            yield
