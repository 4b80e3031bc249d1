"""Runs of earlier code are taken over if today's code trains them alike, and only then."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from ablation_lab.engines.contract import Engine
from ablation_lab.errors import ConfigurationError, StoreError
from ablation_lab.runner.rekey import (
    SHORT,
    Outcome,
    candidates,
    carry,
    disagreement,
    listing,
    shortened,
    try_again,
)
from ablation_lab.store.keys import Archive
from ablation_lab.store.write import Tracker
from ablation_lab.study.declare import declare
from ablation_lab.study.files import read_yaml
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run, TrainerName
from ablation_lab.study.schema import parse_study
from ablation_lab.training.cost import estimate
from ablation_lab.training.ensemble import combine_members
from ablation_lab.training.execute import execute
from ablation_lab.training.plan import plan
from tests.conftest import CONF

MakeRun = Callable[..., Run]


class Here:
    """An engine that works in this process, in order."""

    def map(self, function: Any, jobs: Any, **_: Any) -> Any:
        from ablation_lab.engines.contract import Done

        for job in jobs:
            yield Done(job, function(job))


HERE = cast(Engine, Here())
PLACE: dict[str, Any] = {"data_root": None, "plugins": ()}


def stored(store: str, runs: list[Run]) -> None:
    """Train runs and keep them, files beside the store."""
    tracker = Tracker(store, Path(store.removeprefix("sqlite:///")).parent / "artifacts")
    for stack in plan(runs, data_root=None, plugins=()):
        tracker.write(execute(stack))


def of_today(run: Run) -> Run:
    """Return the run under the key that other code gives it."""
    return dataclasses.replace(run, key=f"today-{run.key}")


def tried(missing: list[Run], archive: Archive) -> list[Outcome]:
    return list(try_again(list(candidates(missing, archive)), archive, HERE, **PLACE))


def test_a_cell_that_comes_out_the_same_gets_its_keys(store: str, make_run: MakeRun) -> None:
    runs = [make_run(cell=cell, replicate=n, model__widths=[w])
            for cell, w in (("a", 2), ("b", 3)) for n in range(3)]  # fmt: skip
    stored(store, runs)
    archive, missing = Archive(store), [of_today(run) for run in runs]
    outcomes = sorted(each.line for each in tried(missing, archive))
    assert outcomes == ["rekeyed: small a: 3 runs", "rekeyed: small b: 3 runs"]
    assert {each.key for each in archive.finished("small")} == {run.key for run in missing}
    assert set(Tracker(store, None).finished("small")) == {run.key for run in missing}


def test_a_cell_that_comes_out_otherwise_keeps_its_old_keys(store: str, make_run: MakeRun) -> None:
    runs = [make_run(replicate=n) for n in range(2)]
    # What the store has was trained with another seed, as by code that draws otherwise.
    stored(store, [dataclasses.replace(run, seed=7) for run in runs])
    archive = Archive(store)
    (outcome,) = tried([of_today(run) for run in runs], archive)
    assert outcome.line.startswith("not rekeyed: small c: 2 runs: train_loss at step 1 was ")
    assert {each.key for each in archive.finished("small")} == {run.key for run in runs}


def test_another_configuration_or_replicate_is_no_candidate(store: str, make_run: MakeRun) -> None:
    stored(store, [make_run(replicate=0)])
    others = [make_run(replicate=1), make_run(model__widths=[4])]
    assert list(candidates(map(of_today, others), Archive(store))) == []


def test_ensembles_go_with_their_members(store: str, make_run: MakeRun) -> None:
    settings: dict[str, Any] = {
        "data": {"name": "digits", "train_size": 50},
        "training": {"epochs": 1, "batch_size": 10},
    }
    members = [
        dataclasses.replace(make_run(replicate=n, cell="one", **settings), keep_logits=True)
        for n in range(2)
    ]
    stored(store, members)
    both = dataclasses.replace(
        members[0],
        cell="both",
        key="both",
        keep_logits=False,
        config={**members[0].config, "ensemble": {"size": 2, "rule": "vote"}},
        members=tuple(run.key for run in members),
    )
    tracker = Tracker(store, None)
    tracker.write([combine_members(both, tracker.finished("small"), tracker, None)])
    today = dataclasses.replace(of_today(both), members=tuple(of_today(run).key for run in members))
    other = dataclasses.replace(today, members=today.members[::-1])
    archive = Archive(store)
    for ensemble, adopted in ((other, 0), (today, 1)):
        missing = [*map(of_today, members), ensemble]
        lines = [outcome.line for outcome in tried(missing, archive)]
        assert lines.count("rekeyed: small both: 1 run") == adopted
        for each in archive.finished("small"):
            if each.key.startswith("today-one"):
                archive.rename(each.run_id, key=each.key.removeprefix("today-"), before="")


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (((1, 0.5), (2, math.nan)), ""),
        (((1, 0.5 + 1e-9),), ""),
        (((1, 0.5001),), "train_loss at step 1 was 0.5, is now 0.5001"),
        (((2, 0.25),), "train_loss at step 2 was nan, is now 0.25"),
        (((3, 0.5),), "the curves have no step in common"),
        ((), "the curves have no step in common"),
    ],
)
def test_disagreement(now: tuple[tuple[int, float], ...], said: str) -> None:
    before = {"train_loss": ((1, 0.5), (2, math.nan))}
    assert disagreement({"train_loss": now}, before) == said


def test_long_runs_are_tried_for_one_epoch(make_run: MakeRun) -> None:
    short = make_run(data__name="digits", training={"epochs": 5, "batch_size": 100}).config
    long = make_run(data__name="mnist", model__widths=[512, 512],
                    training={"epochs": 50, "batch_size": 10}).config  # fmt: skip
    assert estimate(short, runs=1) < SHORT < estimate(long, runs=1)
    assert shortened(short) == short
    assert shortened(long)["training"] == {**long["training"], "epochs": 1}


def test_runs_are_carried_over_with_the_members_of_ensembles(store: str, make_run: MakeRun) -> None:
    runs = [make_run(replicate=n) for n in range(3)]
    stored(store, runs)
    tracker = Tracker(store, None)
    (both,) = (dataclasses.replace(runs[0], cell="both", key="both"),)
    members = " ".join(run.key for run in runs[:2])
    tracker.write([Record(run=both, status=Status.FINISHED, trainer=TrainerName.ENSEMBLE,
                          provenance={"members": members})])  # fmt: skip
    place = "small|smoke|{}|{}".format
    before = {place(run.cell, run.replicate): run.key for run in (*runs[:2], both)}
    now = {each: f"today-{key}" for each, key in before.items()}
    done = carry({**before, "gone|smoke|c|0": runs[2].key}, now, store)
    assert (done.carried, done.current, done.unknown, done.taken) == (3, 0, 1, 0)
    found = {each.key: each.members for each in Archive(store).finished("small")}
    of_both = tuple(f"today-{run.key}" for run in runs[:2])
    assert found == {of_both[0]: (), of_both[1]: (), "today-both": of_both, runs[2].key: ()}
    assert set(tracker.finished("small")) == set(found)
    again = carry(before, now, store)
    assert (again.carried, again.current, again.unknown) == (0, 3, 1)


def test_no_two_runs_get_one_key_and_no_run_two(store: str, make_run: MakeRun) -> None:
    runs = [make_run(replicate=n) for n in range(2)]
    today = of_today(runs[0])
    stored(store, [*runs, today])
    places = ["small|smoke|c|0", "small|smoke|c|1"]
    before = dict(zip(places, (run.key for run in runs), strict=True))
    now = {places[0]: today.key, places[1]: "today-other"}
    done = carry(before, now, store)
    assert (done.carried, done.current, done.taken) == (1, 1, 1)
    assert runs[0].key in Tracker(store, None).finished("small")
    shared = dict.fromkeys(places, "old")
    with pytest.raises(ConfigurationError, match=r"c\|1: key old was that of another run too"):
        carry(shared, now, store)


def test_nothing_is_carried_over_in_a_store_that_is_no_database(tmp_path: Path) -> None:
    for uri in ("http://localhost:1", f"sqlite:///{tmp_path}/absent.db"):
        with pytest.raises(StoreError, match="expected a database that exists"):
            carry({}, {}, uri)


def test_the_keys_of_all_declared_runs_are_written_down(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    shutil.copy(CONF / "study" / "dropout.yaml", tmp_path / "study")
    keys = listing([tmp_path])
    declared = declare(parse_study("dropout", read_yaml(CONF / "study/dropout.yaml")["dropout"]),
                       "smoke")  # fmt: skip
    expected = {f"dropout|smoke|{run.cell}|{run.replicate}": run.key for run in declared.runs}
    assert expected.items() <= keys.items()
    assert {place.split("|")[1] for place in keys} == {"smoke", "quick", "paper"}
