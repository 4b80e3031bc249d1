"""Optuna's storage, which keeps the queue of cells and what tuning tried: opened, locked, written.

Everything here that Optuna does not promise (its tables, a trial's own number, the storage's
engine) is used nowhere else; ``tests/store/test_contracts.py`` fails where Optuna changes it.
"""

from __future__ import annotations

from collections.abc import Mapping

import optuna
from optuna.storages import RDBStorage
from optuna.storages._rdb.models import (
    TrialIntermediateValueModel,
)
from optuna.trial import FrozenTrial
from sqlalchemy import delete, insert

from ablation_lab.errors import StoreError, nearest, redact
from ablation_lab.store.connect import (
    address,
    alone,
    create_whole,
    file_of,
    use_write_ahead_log,
)


def open_storage(uri: str) -> RDBStorage:
    """Open the Optuna storage at ``uri``, which is created where it does not exist.

    Errors: ``StoreError``.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    use_write_ahead_log()
    path = file_of(uri)
    try:
        if path is not None:
            create_whole(path, lambda aside: RDBStorage(aside).engine.dispose())
            return RDBStorage(address(uri))
        with alone(uri, "trials"):
            return RDBStorage(uri)
    except Exception as error:  # storages raise whatever their driver does
        text = redact(" ".join(str(error).split()))[:300]
        raise StoreError(f"queue {redact(uri)}: cannot be opened: {text}") from None


def trials_of(uri: str, study: str) -> list[FrozenTrial]:
    """Return the trials of a study of anybody's. Errors: ``StoreError``."""
    storage = open_storage(uri)
    known = [each.study_name for each in optuna.get_all_study_summaries(storage)]
    if study not in known:
        raise StoreError(f"{redact(uri)}: no study {study!r}; {nearest(study, known)}")
    return optuna.load_study(study_name=study, storage=storage).trials


def trial_id(trial: FrozenTrial) -> int:
    """Return the number by which the storage knows a trial."""
    return trial._trial_id


def report_steps(storage: RDBStorage, trial: int, values: Mapping[int, float]) -> None:
    """Report finite values (step → value) of a trial in one transaction, in place of older ones.

    Optuna's own call takes one step, and asks three questions for each.
    """
    table = TrialIntermediateValueModel
    finite = table.TrialIntermediateValueType.FINITE
    rows = [
        {
            "trial_id": trial,
            "step": step,
            "intermediate_value": value,
            "intermediate_value_type": finite,
        }
        for step, value in values.items()
    ]
    old = delete(table).where(table.trial_id == trial, table.step.in_(list(values)))
    with storage.engine.begin() as connection:
        connection.execute(old)
        connection.execute(insert(table), rows)
