"""The keys under which a store has its runs: found by what they are, and changed.

Comes in: the address of a store, a study's name, or key before -> key of today. Goes out: trained
runs of whatever code, and how many have another key now. An ensemble names the keys of its members,
which change with them.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from ablation_lab.errors import StoreError, redact
from ablation_lab.store.client import open_client
from ablation_lab.store.connect import database, is_absent, is_database, said, validate_schema
from ablation_lab.store.runs import RUNS, TAGS, points_of, runs_of
from ablation_lab.store.tags import Tag, replicates_of
from ablation_lab.study.former import of_today
from ablation_lab.study.record import Curve

WHAT_IT_WAS = (Tag.KEY, Tag.STATUS, Tag.CONFIG, Tag.PROVENANCE, Tag.REPLICATE)
# As plain text, which every database driver takes.
KEY, BEFORE, PROVENANCE = (str(tag) for tag in (Tag.KEY, Tag.KEY_BEFORE, Tag.PROVENANCE))


@dataclass(frozen=True)
class CarriedOver:
    """How many runs have another key now, had today's before, and stay as they were.

    They stay where nothing is said of their key, or (``taken``) where their study has a run under
    the key that would be theirs.
    """

    carried: int
    current: int
    unknown: int
    taken: int

    @property
    def line(self) -> str:
        """Say it in one line."""
        stayed = f"{self.unknown} of no declared run, {self.taken} whose place is taken"
        return f"carried over: {self.carried} runs; had today's key: {self.current}; {stayed}"


def carry_over(uri: str, keys: Mapping[str, str]) -> CarriedOver:
    """Give every run that is stored under a key the one that ``keys`` has for it, or none of them.

    Each keeps the key that it had in a tag.
    Errors: ``StoreError`` if the store is no database, does not exist or cannot be written.
    """
    if not is_database(uri) or is_absent(uri):
        raise StoreError(
            f"store {redact(uri)}: expected a database that exists, such as "
            "sqlite:///runs/mlflow.db; of a tracking server give the address of its database"
        )
    engine = database(uri, "store", "tracking.uri")
    try:
        with engine.begin() as connection:
            validate_schema(connection, uri)
            return _carry_over(connection, keys)
    except SQLAlchemyError as error:
        raise StoreError(f"store {redact(uri)}: cannot be changed: {said(error)}") from None
    finally:
        engine.dispose()


def _carry_over(connection: Connection, keys: Mapping[str, str]) -> CarriedOver:
    tags: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    query = (
        select(RUNS.c.experiment_id, TAGS.c.run_uuid, TAGS.c.key, TAGS.c.value)
        .join_from(TAGS, RUNS, TAGS.c.run_uuid == RUNS.c.run_uuid)
        .where(RUNS.c.lifecycle_stage == "active", TAGS.c.key.in_([KEY, BEFORE, PROVENANCE]))
    )
    for experiment, run, name, value in connection.execute(query):
        tags[str(experiment), str(run)][str(name)] = str(value)
    stored = {(experiment, each[KEY]) for (experiment, _), each in tags.items() if KEY in each}
    today = set(keys.values())
    changed: list[dict[str, str]] = []
    added: list[dict[str, str]] = []
    counts: Counter[str] = Counter()
    for (experiment, run), each in tags.items():
        if KEY not in each:
            continue
        key = keys.get(each[KEY], "")
        if each[KEY] in today or not key:
            counts["current" if each[KEY] in today else "unknown"] += 1
        elif (experiment, key) in stored:
            counts["taken"] += 1
        else:
            counts["carried"] += 1
            changed.append({"of": run, "called": KEY, "now": key})
            before = {"of": run, "called": BEFORE, "now": each[KEY]}
            (changed if BEFORE in each else added).append(before)
            changed += _members(run, each.get(PROVENANCE, "{}"), keys)
    _write(connection, changed, added)
    return CarriedOver(counts["carried"], counts["current"], counts["unknown"], counts["taken"])


def _members(run: str, provenance: str, keys: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the change of what an ensemble says of its members; none for any other run."""
    said = json.loads(provenance)
    if "members" not in said:
        return []
    said["members"] = " ".join(keys.get(key, key) for key in said["members"].split())
    return [{"of": run, "called": PROVENANCE, "now": json.dumps(said, sort_keys=True)}]


def _write(
    connection: Connection, changed: list[dict[str, str]], added: list[dict[str, str]]
) -> None:
    this = (TAGS.c.run_uuid == bindparam("of"), TAGS.c.key == bindparam("called"))
    if changed:
        connection.execute(update(TAGS).where(*this).values(value=bindparam("now")), changed)
    if added:
        rows = [{"run_uuid": e["of"], "key": e["called"], "value": e["now"]} for e in added]
        connection.execute(insert(TAGS), rows)


@dataclass(frozen=True)
class Trained:
    """A finished run as stored: what it was, under which key, and the keys of what it combines."""

    run_id: str
    key: str
    config: dict[str, Any]
    replicate: int
    members: tuple[str, ...]


class Archive:
    """Finds finished runs by what they are, and gives them another key."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._client = open_client(uri)

    def finished(self, study: str) -> Iterator[Trained]:
        """Yield every finished run of a study, the earliest first."""
        experiment = replicates_of(study)
        runs = runs_of(self._uri, [experiment], tags=WHAT_IT_WAS, metrics=False)[experiment]
        for run in sorted(runs, key=lambda run: (run.start_time, run.run_id)):
            if run.is_finished and Tag.CONFIG in run.tags:
                provenance = json.loads(run.tags[Tag.PROVENANCE])
                yield Trained(
                    run_id=run.run_id,
                    key=run.key,
                    config=of_today(json.loads(run.tags[Tag.CONFIG])),
                    replicate=int(run.tags[Tag.REPLICATE]),
                    members=tuple(provenance.get("members", "").split()),
                )

    def curve(self, run_id: str, name: str) -> Curve:
        """Return the stored points (step, value) of one curve."""
        return tuple((step, value) for _, step, value in points_of(self._uri, [run_id], name))

    def rename(self, run_id: str, *, key: str, before: str) -> None:
        """Give a run the key under which today's code looks for it; the old one stays beside it."""
        self._client.set_tag(run_id, Tag.KEY_BEFORE, before)
        self._client.set_tag(run_id, Tag.KEY, key)
