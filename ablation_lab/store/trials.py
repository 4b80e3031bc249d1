"""Optuna's storage, which keeps the queue of cells and what tuning tried: opened, locked, written.

Everything here that Optuna does not promise (its tables, a trial's own number, the storage's
engine) is used nowhere else; ``tests/store/test_contracts.py`` fails where Optuna changes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import optuna
from optuna.storages import RDBStorage
from optuna.storages._rdb.models import TrialIntermediateValueModel
from optuna.trial import FrozenTrial
from sqlalchemy import delete, func, insert, select

from ablation_lab.errors import StoreError, redact
from ablation_lab.store.connect import alone, file_of, use_write_ahead_log


def open_storage(uri: str) -> RDBStorage:
    """Open the Optuna storage at ``uri``, which is created where it does not exist.

    Errors: ``StoreError``.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    use_write_ahead_log()
    try:
        if path := file_of(uri):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Two that make the tables at once would both fail.
            with alone(f"{path}.lock"):
                return RDBStorage(uri)
        return RDBStorage(uri)
    except Exception as error:  # storages raise whatever their driver does
        text = redact(" ".join(str(error).split()))[:300]
        raise StoreError(f"queue {redact(uri)}: cannot be opened: {text}") from None


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


@contextmanager
def one_at_a_time(
    storage: RDBStorage, study: str, *, patience: float, file: str = "lock"
) -> Iterator[None]:
    """Let one runner at a time add to a study: that is no single step of Optuna's.

    On SQLite, which cannot lock the trial that Optuna looks at either, the lock is an empty
    database ``file`` beside the storage's own, for which others wait ``patience`` seconds; on
    PostgreSQL it is an advisory lock of the study's name. A runner that dies lets go of both.
    """
    engine = storage.engine
    match engine.dialect.name:
        case "sqlite":
            with alone(f"{engine.url.database}.{file}", patience=patience):
                yield
        case "postgresql":
            digest = hashlib.sha256(study.encode()).digest()
            number = int.from_bytes(digest[:8], "big", signed=True)
            with engine.begin() as connection:
                connection.execute(select(func.pg_advisory_xact_lock(number)))
                yield
        case _:
            yield
