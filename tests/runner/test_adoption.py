"""Runs of earlier code are taken over if today's code trains them alike, and only then."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from ablation_lab.engines.contract import Engine
from ablation_lab.runner.adoption import SHORT, adopt, candidates, disagreement, shortened
from ablation_lab.store.archive import Archive
from ablation_lab.store.write import Tracker
from ablation_lab.study.run import Run
from ablation_lab.training.cost import estimate
from ablation_lab.training.ensemble import combine_members
from ablation_lab.training.execute import execute
from ablation_lab.training.plan import plan

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


def test_a_cell_that_comes_out_the_same_gets_its_keys(store: str, make_run: MakeRun) -> None:
    runs = [make_run(cell=cell, replicate=n, model__widths=[w])
            for cell, w in (("a", 2), ("b", 3)) for n in range(3)]  # fmt: skip
    stored(store, runs)
    archive, missing = Archive(store), [of_today(run) for run in runs]
    outcomes = sorted(each.line for each in adopt(missing, archive, HERE, **PLACE))
    assert outcomes == ["adopted: small a: 3 runs", "adopted: small b: 3 runs"]
    assert {each.key for each in archive.finished("small")} == {run.key for run in missing}
    assert set(Tracker(store, None).finished("small")) == {run.key for run in missing}


def test_a_cell_that_comes_out_otherwise_keeps_its_old_keys(store: str, make_run: MakeRun) -> None:
    runs = [make_run(replicate=n) for n in range(2)]
    # What the store has was trained with another seed, as by code that draws otherwise.
    stored(store, [dataclasses.replace(run, seed=7) for run in runs])
    archive = Archive(store)
    (outcome,) = adopt([of_today(run) for run in runs], archive, HERE, **PLACE)
    assert outcome.line.startswith("not adopted: small c: 2 runs: train_loss at step 1 was ")
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
        lines = [outcome.line for outcome in adopt(missing, archive, HERE, **PLACE)]
        assert lines.count("adopted: small both: 1 run") == adopted
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
