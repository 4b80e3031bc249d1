"""The experiments of a store as somebody may have left them in MLflow: deleted, or renamed.

Comes in: the address of a store and the studies of a call. Goes out: nothing, or one line that says
how to have their runs back, before anything is trained.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import inspect, select

from ablation_lab.errors import StoreError, redact
from ablation_lab.store.connect import connected, is_absent, is_database
from ablation_lab.store.runs import ACTIVE, EXPERIMENTS, RUNS, TAGS, rows_of
from ablation_lab.store.tags import Tag, having, replicates_of


def validate_experiments(uri: str, studies: Sequence[str]) -> None:
    """Refuse to go on with studies whose experiments somebody deleted or renamed in MLflow.

    Their runs would not be found, and be trained again into a name that is taken, or beside them.
    Errors: ``StoreError`` that says how to have them back.
    """
    known = {} if is_absent(uri) else experiments_of(uri)
    # Each name, and the tag that runs in the experiment have.
    names = [(replicates_of(study), Tag.STUDY, study) for study in studies]
    names += [(study, Tag.REPLICATES, replicates_of(study)) for study in studies]
    for name, tag, value in names if known else ():
        if name not in known:
            _validate_elsewhere(uri, known, name, holding=(tag, value))
        elif known[name].stage != ACTIVE:
            raise StoreError(deleted(uri, name, known[name].experiment_id))


def _validate_elsewhere(
    uri: str, known: Mapping[str, Experiment], name: str, *, holding: tuple[Tag, str]
) -> None:
    """Refuse a store in which another experiment holds the runs of this one."""
    other = _holder(uri, known, *holding)
    if other:
        raise StoreError(
            f"store {redact(uri)}: the runs of experiment {name!r} are in one that is called "
            f"{other!r} now; rename it back: `{_command(uri)} experiments rename "
            f"-x {known[other].experiment_id} --new-name {shlex.quote(name)}`"
        )


def deleted(uri: str, name: str, experiment_id: str) -> str:
    """Say that an experiment was deleted, and how to have it back, or be rid of it."""
    mlflow = _command(uri)
    return (
        f"store {redact(uri)}: experiment {name!r} was deleted; restore it: `{mlflow} experiments "
        f"restore -x {experiment_id}`, or purge it: `{mlflow} gc --experiment-ids {experiment_id} "
        f"--backend-store-uri {shlex.quote(redact(uri))}`"
    )


def _command(uri: str) -> str:
    return f"MLFLOW_TRACKING_URI={shlex.quote(redact(uri))} mlflow"


@dataclass(frozen=True)
class Experiment:
    """An experiment of a store; ``stage`` is ``ACTIVE`` or that of one that was deleted."""

    experiment_id: str
    name: str
    stage: str


def experiments_of(uri: str) -> dict[str, Experiment]:
    """Every experiment of a store by its name, the deleted ones too."""
    if not is_database(uri):
        from mlflow.entities import ViewType

        from ablation_lab.store.client import Store

        every = Store(uri).client.search_experiments(ViewType.ALL)
        found = [(each.experiment_id, each.name, each.lifecycle_stage) for each in every]
    else:
        with connected(uri) as connection:
            has = inspect(connection).has_table(EXPERIMENTS.name)
            found = list(rows_of(connection, select(*EXPERIMENTS.c))) if has else []
    return {name: Experiment(str(number), name, stage) for number, name, stage in found}


def _holder(uri: str, known: Mapping[str, Experiment], tag: Tag, value: str) -> str:
    """Return the name of the experiment that holds runs with a tag, '' where none does."""
    ids = {each.experiment_id: each.name for each in known.values() if each.stage == ACTIVE}
    if not is_database(uri):
        from ablation_lab.store.client import Store

        found = Store(uri).client.search_runs(list(ids), having({tag: value}), max_results=1)
        return ids[found[0].info.experiment_id] if found else ""
    with connected(uri) as connection:
        tagged = (
            select(RUNS.c.experiment_id)
            .join_from(TAGS, RUNS, TAGS.c.run_uuid == RUNS.c.run_uuid)
            .where(TAGS.c.key == str(tag), TAGS.c.value == value)
            .where(RUNS.c.lifecycle_stage == ACTIVE)
        )
        row = connection.execute(tagged.limit(1)).first()
    return ids.get(str(row[0]), "") if row else ""
