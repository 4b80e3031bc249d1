"""Which test items a run got right: kept when asked, and nothing else changes by that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ablation_lab.store.items import load_hits, read_hits, write_hits
from ablation_lab.store.write import Tracker
from ablation_lab.study.key import run_key
from ablation_lab.study.record import Record
from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.study.settings import resolve
from ablation_lab.training.execute import execute
from ablation_lab.training.validate import validate_stack
from tests.report.grids import declared
from tests.study.changed import XOR

MakeRun = Callable[..., Run]
DIGITS: dict[str, Any] = {
    "data": {"name": "digits", "train_size": 200},
    "model": {"family": "linear"},
    "optimizer": {"name": "adam", "learning_rate": 0.05},
}
WORDS: dict[str, Any] = {
    "data": {"name": "hihello"},
    "model": {"family": "char_rnn", "width": 12},
    "optimizer": {"name": "adam", "learning_rate": 0.05},
}


def records(
    make_run: MakeRun, trainer: TrainerName, settings: Any, **training: Any
) -> list[Record]:
    size = {"batch_size": 20} if settings is DIGITS else {}
    training = {"epochs": 4, **size, **training}
    runs = tuple(make_run(replicate=r, training=training, **settings) for r in range(2))
    return [made for run in runs for made in execute(Stack((run,), trainer, "a test"))]


@pytest.mark.parametrize("trainer", [TrainerName.SINGLE, TrainerName.STACKED])
@pytest.mark.parametrize(
    ("settings", "metric", "items"), [(DIGITS, "test_accuracy", 300), (WORDS, "train_accuracy", 6)]
)
def test_hits_are_those_of_the_accuracy_and_change_no_number(
    make_run: MakeRun, trainer: TrainerName, settings: Any, metric: str, items: int
) -> None:
    kept = records(make_run, trainer, settings, keep_hits=True)
    without = records(make_run, trainer, settings)
    for with_hits, plain in zip(kept, without, strict=True):
        assert (with_hits.metrics, with_hits.curves) == (plain.metrics, plain.curves)
        assert plain.hits is None
        assert with_hits.hits is not None
        assert (with_hits.hits.shape, with_hits.hits.dtype) == ((items,), np.bool_)
        assert float(with_hits.hits.mean()) == with_hits.metrics[metric]


def test_what_tells_no_classes_apart_is_refused_before_it_trains(make_run: MakeRun) -> None:
    run = make_run(
        model={"family": "linear_regression"}, data={"name": "line2"},
        training={"epochs": 2, "keep_hits": True},
    )  # fmt: skip
    said = validate_stack(Stack((run,), TrainerName.SINGLE, "a test"))
    assert "training.keep_hits: family 'linear_regression' tells no classes apart" in said


def test_a_run_that_keeps_none_has_the_key_that_it_had() -> None:
    plain = resolve(XOR, [], "a test")
    off, on = (resolve(XOR, [{"training.keep_hits": keep}], "a test") for keep in (False, True))
    assert "keep_hits" not in plain["training"]
    assert run_key(plain, 0, 0) == run_key(off, 0, 0) != run_key(on, 0, 0)


@pytest.mark.parametrize("items", [1, 8, 10_001])
def test_a_file_has_a_bit_for_each_item(tmp_path: Path, items: int) -> None:
    hits = np.random.default_rng(items).random(items) < 0.5
    write_hits(hits, tmp_path / "hits.npz")
    assert np.array_equal(read_hits(tmp_path / "hits.npz"), hits)
    # What a zip file of two arrays has beside them.
    assert (tmp_path / "hits.npz").stat().st_size <= items / 8 + 700


def test_the_file_lies_with_the_run(store: str, tmp_path: Path, make_run: MakeRun) -> None:
    made = records(make_run, TrainerName.SINGLE, DIGITS, keep_hits=True)
    ids = Tracker(store, tmp_path / "artifacts").write(made)
    asked = declared({"a": ["1"]}, 3)
    config = {"training": {"keep_hits": True}}
    asked = asked.model_copy(
        update={"cells": (asked.cells[0].model_copy(update={"config": config}),)}
    )
    status = ["finished", "finished", "missing"]
    rows = {"cell": ["a=1"] * 3, "replicate": [0, 1, 2], "run_id": [*ids, ""], "status": status}
    found = load_hits(store, pd.DataFrame(rows), asked)["a=1"]
    assert list(found) == [0, 1]
    for replicate, record in enumerate(made):
        assert np.array_equal(found[replicate], record.hits)
    assert load_hits(store, pd.DataFrame(rows), declared({"a": ["1"]}, 3)) == {}
