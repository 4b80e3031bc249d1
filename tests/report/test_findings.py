"""A finding says what its tests support, in three sentences at most, the same for the same data."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablation_lab.report import sentences
from ablation_lab.report.findings import answer_word, finding, statements
from ablation_lab.report.sentences import Statement
from ablation_lab.report.study import Study
from ablation_lab.report.table_comparisons import answers_table
from ablation_lab.statistics.comparisons import Standing
from ablation_lab.statistics.intervals import Interval
from ablation_lab.statistics.planning import replicates_to_show, smallest_difference
from ablation_lab.study.asks import Ask, Yes
from tests.report.grids import AB, declared, frame

ASKS = [
    {"question": "Does 3 beat 1?", "compare": {"a": ["1", "3"]}},
    {"question": "Does y beat x?", "compare": {"b": ["x", "y"]}, "within": {"a": ["2"]}},
    {"question": "Does a help?", "compare": {"a": ["1", "2", "3"]}},
    {"question": "Do both help?", "compare": {"a": ["1", "3"], "b": ["x", "y"]}},
    {"question": "Does y help 3?", "compare": {"a": ["1", "3"]}, "differs_by": {"b": ["x", "y"]}},
]
DIRECTION = re.compile(r"\b(higher|lower|changes)\b")
UP = re.compile(r"\bhigher\b")
WORDS = {
    Standing.BETTER: "Yes",
    Standing.WORSE: "No, the opposite",
    Standing.EQUIVALENT: "No",
    Standing.UNDECIDED: "Undecided",
    Standing.NEEDS: "Undecided",
}


def study_of(values: Any, **changes: Any) -> Study:
    made = declared(AB, len(next(iter(values.values()))), **changes)
    return Study(made, frame(made, values))


def drawn(*, seed: int, n: int, effect: float = 0.0, noise: float = 0.01) -> dict[str, Any]:
    """Accuracies of six cells; `effect` is that of every level of a, and of b where a is 3."""
    rng, made = np.random.default_rng(seed), {}
    for a in AB["a"]:
        for b in AB["b"]:
            middle = 0.5 + effect * (int(a) + (b == "y" and a == "3"))
            made[f"a={a},b={b}"] = np.clip(middle + noise * rng.normal(size=n), 0, 1)
    return made


DESIGNS = st.sampled_from(
    [{"asks": ASKS}, {"asks": ASKS[:1], "equivalence": 0.02}, {}, {"baseline": "a=1,b=x"}]
)


def supported(statement: Statement) -> bool:
    """Whether what a sentence says of a direction is what its test decides."""
    said = DIRECTION.search(statement.said.plain.split(";")[0])
    if (said and said[0] == "changes" and statement.said.question) or not statement.rests_on:
        return True  # what is seen at two places; the answer before it says what is decided
    if said is None:
        return said is None
    found = statement.rests_on
    way = said[0] == "changes" or (found.interval.estimate > 0) == bool(UP.match(said[0]))
    return found.decided and found.p <= 0.05 and way


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.sampled_from([1, 3, 6, 10]),
    effect=st.sampled_from([-0.03, 0.0, 0.01, 0.1]),
    design=DESIGNS,
)
def test_every_statement_is_backed_by_a_test_in_its_direction(
    seed: int, n: int, effect: float, design: dict[str, Any]
) -> None:
    made = statements(study_of(drawn(seed=seed, n=n, effect=effect), **design))
    assert 1 <= len(made) <= 3
    assert [statement.text for statement in made if not supported(statement)] == []
    ranks = [statement.rank for statement in made]
    assert ranks == sorted(ranks)
    assert all(re.fullmatch(r"[A-Z0-9].*[^.]\.", statement.said.text) for statement in made)
    assert "-0.0 " not in finding(study_of(drawn(seed=seed, n=n, effect=effect), **design))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), design=DESIGNS)
def test_equal_data_give_equal_findings_in_any_order_of_rows(
    seed: int, design: dict[str, Any]
) -> None:
    values = drawn(seed=seed, n=8, effect=0.01)
    study = study_of(values, **design)
    rows = study.frame.sample(frac=1, random_state=seed)
    shuffled = Study(study.declaration, rows)
    assert finding(shuffled) == finding(study) == finding(study_of(values, **design))


@pytest.mark.parametrize(
    ("design", "families"), [({"asks": ASKS}, 1), ({"baseline": "a=1,b=x"}, 2)]
)
def test_without_any_effect_hardly_any_finding_claims_one(
    design: dict[str, Any], families: int
) -> None:
    studies, claimed = 60, 0
    for seed in range(studies):
        made = statements(study_of(drawn(seed=seed, n=8), **design))
        claimed += any(
            statement.rests_on is not None and statement.rests_on.decided for statement in made
        )
    # Each family errs in 5 % of studies; two standard errors of 60 draws are 5.6 points.
    assert claimed / studies <= 0.05 * families + 0.056


def test_an_answer_is_the_mean_of_its_differences_and_a_slope_that_of_the_line() -> None:
    values = drawn(seed=1, n=10, effect=0.02)
    first, _, slope, both = study_of(values, asks=ASKS[:4]).replies
    mean = {a: np.mean([values[f"a={a},b={b}"] for b in "xy"]) for a in AB["a"]}
    assert first.whole.difference.estimate == pytest.approx(mean["3"] - mean["1"])
    assert [place.where for place in first.places] == [{"b": "x"}, {"b": "y"}]
    line = np.polyfit([1, 2, 3], [mean[a] for a in AB["a"]], 1)[0]
    assert slope.whole.difference.estimate == pytest.approx(line)
    change = values["a=3,b=y"].mean() - values["a=1,b=x"].mean()
    assert both.whole.difference.estimate == pytest.approx(change)
    assert both.places == ()


def test_a_finding_says_direction_size_interval_n_p_and_where_it_holds() -> None:
    lost = [1.0] * 4 + [0.0] * 196
    won = [1.0] * 190 + [0.0] * 10
    values = dict.fromkeys(drawn(seed=0, n=1), won) | {"a=3,b=x": lost}
    asks = [
        {"question": "?", "compare": {"a": ["1", "3"]}, "within": {"b": "x"}},
        {"question": "?", "compare": {"a": ["1", "3"]}},
    ]
    study = study_of(values, asks=asks, metric="success")
    assert statements(study)[0].said.text == (
        "? With b x, fewer runs succeed with a 3 than with 1: 4 of 200 against 190 of 200 runs "
        "(difference -93.0 points, 95 % interval -95.6 to -88.0, n = 200, p < 0.001)."
    )
    assert statements(study)[1].said.plain.endswith("; by b: lower for x, undecided for y")
    table = answers_table(study)
    assert [row[2].text for row in table.rows] == ["x", "all of b", "x", "y"]


def test_an_answer_says_yes_of_what_its_test_decides_alone() -> None:
    study = study_of(drawn(seed=1, n=1))
    for standing, word in WORDS.items():
        found = sentences.Tested(Interval(0.1, 0.0, 0.2, 9, "t"), 0.01, standing)
        ask = Ask(question="?", yes_if=Yes.BETTER, compare={"a": ("1", "3")})
        assert answer_word(ask, found, [], averaged=()) == f"{word}: "
        same = ask.model_copy(update={"yes_if": Yes.EQUIVALENT})
        said = "Yes" if standing is Standing.EQUIVALENT else word.replace("Yes", "No").split(",")[0]
        assert answer_word(same, found, [], averaged=()) == f"{said}: "
    ways = [replace(found, standing=each) for each in (Standing.BETTER, Standing.WORSE)]
    said = answer_word(ask, ways[0], ways, averaged=["b"])
    assert said.startswith("It depends on b")
    assert study.replies == []


def test_a_difference_that_differs_is_that_of_both_and_reaches_beyond_100_points() -> None:
    """With x the change is one way, with y the other: each is 80 points, so they differ by 160."""
    spread = np.linspace(0, 0.05, 10)
    values = {f"a={a},b={b}": 0.1 + spread for a in AB["a"] for b in AB["b"]}
    values |= {"a=3,b=x": 0.9 + spread, "a=1,b=y": 0.9 + spread}
    study = study_of(values, asks=ASKS[-1:])
    (reply,) = study.replies
    assert reply.whole.difference.estimate == pytest.approx(-1.6)
    assert reply.whole.difference.low <= -1.6 <= reply.whole.difference.high
    said = statements(study)[0].said
    assert said.plain == (
        "Yes: a 3 instead of 1 changes test accuracy by -80.0 points with b y, and by +80.0 "
        "points with x"
    )
    assert said.evidence.startswith("difference of both -160.0 points")


def test_places_that_go_the_same_way_each_have_their_size() -> None:
    """A small effect must not pass for a large one: the answer itself says how much at each."""
    values = {
        f"a={a},b={b}": 0.5 + 0.04 * int(a) * (10 if b == "y" else 1) / 10 + np.arange(10) / 1e4
        for a in AB["a"]
        for b in AB["b"]
    }
    said = statements(study_of(values, asks=ASKS[:1]))[0].said.plain
    assert "; by b: higher by 0.80 points for x and by 8.00 points for y" in said


def test_answers_are_taken_at_the_looks_of_a_study() -> None:
    study = study_of(drawn(seed=1, n=12, effect=0.1), asks=ASKS[:1], looks=[8, 12])
    (reply,) = study.replies
    assert (reply.whole.looked, reply.whole.difference.n, reply.whole.decided) == (8, 8, True)


def test_what_is_not_decided_is_said_with_the_runs_that_it_takes() -> None:
    few = finding(study_of(drawn(seed=1, n=1), asks=ASKS[:1]))
    assert "? On average over b, no difference in test accuracy is shown between a 3 and 1" in few
    assert few.endswith("; any verdict needs n ≥ 6; also undecided for b x and y).")
    (statement,) = statements(
        study_of(drawn(seed=2, n=6, noise=0.05), asks=ASKS[1:2], equivalence=0.01)
    )
    assert statement.rests_on is not None
    assert statement.rests_on.standing is Standing.UNDECIDED
    wanted = re.search(r"showing one of 1.0 points, the margin of equivalence, takes n ≥ (\d+)",
                       statement.said.evidence)  # fmt: skip
    assert wanted is not None
    assert int(wanted[1]) == replicates_to_show(0.01, 1, spread=statement.rests_on.spread)


@given(spread=st.floats(0.1, 10), comparisons=st.integers(1, 50), difference=st.floats(0.01, 10))
@settings(max_examples=30, deadline=None)
def test_the_runs_that_it_takes_are_the_fewest_that_the_plan_says(
    spread: float, comparisons: int, difference: float
) -> None:
    n = replicates_to_show(difference, comparisons, spread=spread)
    assert n is not None

    def reach(replicates: int) -> float:
        return smallest_difference(comparisons, replicates, spread=spread / 2**0.5)

    assert reach(n) <= difference
    assert n == 6 or reach(n - 1) > difference
    assert replicates_to_show(0.0, comparisons, spread=spread) is None


def test_cells_alike_and_runs_that_never_converged_are_said_to_be_so() -> None:
    same = {name: [0.9] * 8 for name in drawn(seed=0, n=1)}
    assert finding(study_of(same)) == ("Test accuracy is highest in 6 of 6 cells alike: 90.0 %.")
    made = declared(AB, 8)
    lost = frame(made, same, {name: set(range(8)) for name in same})
    assert finding(Study(made, lost)) == "No finished run converged."
