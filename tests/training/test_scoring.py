"""Accuracy and the combination of members: what must hold for any logits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ablation_lab.study.run import Combination
from ablation_lab.training.ensemble import combine
from ablation_lab.training.scoring import accuracy_of, predictions

# Quarters are exact in float32 and so are their sums: no two scores meet by rounding.
QUARTERS = st.integers(-40, 40).map(lambda n: n / 4)
MEMBER = arrays(np.float32, (6, 3), elements=QUARTERS)
MEMBERS = arrays(np.float32, (5, 6, 3), elements=QUARTERS)


def logits(rows: list[list[float]]) -> NDArray[np.float32]:
    return np.array(rows, dtype=np.float32)


def test_the_largest_score_is_the_class() -> None:
    scores = logits([[0.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    assert predictions(scores).tolist() == [1, 0]
    assert accuracy_of(scores, np.array([1, 1])) == 0.5


def test_binary_is_positive_or_not() -> None:
    scores = logits([[0.1], [-0.1], [0.0]])
    assert predictions(scores).tolist() == [1, 0, 0]


@pytest.mark.parametrize("classes", [1, 3])
def test_a_row_with_a_nan_is_wrong_whatever_its_label(classes: int) -> None:
    scores = np.zeros((3, classes), dtype=np.float32)
    scores[1, -1] = np.nan
    for label in range(max(classes, 2)):
        labels = np.array([0, label, 0])
        assert accuracy_of(scores, labels) == pytest.approx(2 / 3)


@given(MEMBER, st.integers(1, 7), st.sampled_from(Combination))
def test_an_ensemble_of_equals_is_its_member(
    member: NDArray[np.float32], size: int, rule: Combination
) -> None:
    scores = combine(np.stack([member] * size), rule)
    assert scores.shape == member.shape
    # An argmax takes the first of equal scores, for the member as for the ensemble; softmax can
    # make scores equal that differ by less than float32 resolves, and so the top is compared.
    best = np.take_along_axis(member, predictions(scores)[:, None], 1)[:, 0]
    assert np.array_equal(best, member.max(1))


@given(MEMBERS, st.permutations(range(5)), st.sampled_from(Combination))
def test_the_order_of_members_changes_nothing(
    members: NDArray[np.float32], order: list[int], rule: Combination
) -> None:
    # Sums of float32 probabilities depend on their order in the last bits.
    assert combine(members[order], rule) == pytest.approx(combine(members, rule), abs=1e-5)


def test_the_three_rules_differ_where_they_should() -> None:
    # One member is very sure of class 0, two are a little for class 1.
    members = np.array([[[9.0, 0.0]], [[0.0, 1.5]], [[0.0, 1.5]]], dtype=np.float32)
    assert predictions(combine(members, Combination.SUM_LOGITS)).tolist() == [0]
    assert predictions(combine(members, Combination.MEAN_PROBABILITY)).tolist() == [1]
    assert predictions(combine(members, Combination.VOTE)).tolist() == [1]
    assert combine(members, Combination.SUM_LOGITS).tolist() == [[9.0, 3.0]]


def test_probabilities_add_up_to_one() -> None:
    members = np.array([[[900.0, 0.0, -900.0]], [[0.0, 1.0, 2.0]]], dtype=np.float32)
    assert combine(members, Combination.MEAN_PROBABILITY).sum() == pytest.approx(1.0)


def test_a_tie_of_votes_goes_to_the_larger_mean_probability() -> None:
    members = np.array([[[1.0, 0.0, 0.0]], [[0.0, 0.0, 3.0]]], dtype=np.float32)
    assert predictions(combine(members, Combination.VOTE)).tolist() == [2]


def test_a_vote_is_never_outvoted_by_probabilities() -> None:
    sure, unsure = [[20.0, 0.0]], [[0.0, 0.01]]
    members = np.array([sure, unsure, unsure], dtype=np.float32)
    assert predictions(combine(members, Combination.VOTE)).tolist() == [1]


@pytest.mark.parametrize("rule", Combination)
def test_a_member_that_diverged_makes_the_row_wrong(rule: Combination) -> None:
    members = np.array([[[2.0, 0.0]], [[np.nan, 0.0]]], dtype=np.float32)
    scores = combine(members, rule)
    assert [accuracy_of(scores, np.array([label])) for label in (0, 1)] == [0.0, 0.0]


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 1)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected shape"):
        combine(np.zeros(shape, dtype=np.float32), Combination.VOTE)
