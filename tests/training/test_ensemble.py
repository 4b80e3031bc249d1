"""An ensemble is computed from its members' stored logits, or fails and says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ablation_lab.data import load
from ablation_lab.study.record import NoConvergence, Status
from ablation_lab.study.run import Run, TrainerName
from ablation_lab.training.ensemble import combine_members

LABELS = load("digits")[1].y


class Stored:
    """Logits by MLflow run id."""

    def __init__(self, logits: dict[str, NDArray[np.float32]]) -> None:
        self._logits = logits

    def logits(self, run_id: str) -> NDArray[np.float32]:
        return self._logits[run_id]


def right_on(rows: slice) -> NDArray[np.float32]:
    """Return logits that are right on some rows and sure of class 0 on the others."""
    logits = np.zeros((len(LABELS), 10), dtype=np.float32)
    logits[np.arange(len(LABELS))[rows], LABELS[rows]] = 5
    return logits


@pytest.fixture
def ensemble(make_run: Callable[..., Run]) -> Run:
    """Return an ensemble of two members."""
    run = make_run(data__name="digits", ensemble={"size": 2, "rule": "sum_logits"})
    return replace(run, members=("a", "b"))


def combine(run: Run, stored: dict[str, Any]) -> Any:
    return combine_members(run, {key: key for key in stored}, Stored(stored), None)


def test_members_that_know_different_halves_know_all_together(ensemble: Run) -> None:
    halves = {"a": right_on(slice(0, 150)), "b": right_on(slice(150, None))}
    record = combine(ensemble, halves)
    assert record.status is Status.FINISHED
    assert record.trainer is TrainerName.ENSEMBLE
    assert record.metrics["test_accuracy"] == 1.0
    zeros = [float((LABELS[150:] == 0).mean()), float((LABELS[:150] == 0).mean())]
    alone = [(1 + share) / 2 for share in zeros]
    assert record.metrics["member_accuracy"] == pytest.approx(np.mean(alone))
    assert record.not_converged is NoConvergence.NONE
    assert record.provenance == {"members": "a b"}


def test_equal_members_are_their_ensemble(ensemble: Run) -> None:
    record = combine(ensemble, {"a": right_on(slice(0, 99)), "b": right_on(slice(0, 99))})
    assert record.metrics["test_accuracy"] == record.metrics["member_accuracy"]


def test_a_missing_member_fails_the_ensemble(ensemble: Run) -> None:
    record = combine(ensemble, {"a": right_on(slice(None))})
    assert record.status is Status.FAILED
    assert record.reason == "family 'mlp': ValueError: 1 of 2 members have no finished run"
    assert record.metrics == {}


def test_members_of_other_shapes_fail_the_ensemble(ensemble: Run) -> None:
    record = combine(ensemble, {"a": right_on(slice(None)), "b": np.zeros((3, 10), np.float32)})
    assert record.status is Status.FAILED
    assert record.reason.startswith("family 'mlp': ValueError: ")
    assert "\n" not in record.reason
    assert "Traceback" in record.error


def test_a_member_that_diverged_makes_it_nc(ensemble: Run) -> None:
    bad = right_on(slice(None))
    bad[7] = np.nan
    record = combine(ensemble, {"a": right_on(slice(None)), "b": bad})
    assert record.status is Status.FINISHED
    assert record.not_converged is NoConvergence.NON_FINITE
    assert record.metrics["test_accuracy"] == pytest.approx(299 / 300)
