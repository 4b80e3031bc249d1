"""Verdicts on printed values, the table of all of them, and the summary that is printed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ablation_lab.report.figures import figures_for
from ablation_lab.report.findings import finding
from ablation_lab.report.reference_values import answers, value_table
from ablation_lab.report.study import CURVE, Study
from ablation_lab.statistics.reference_values import judge, printed_unit
from ablation_lab.study.metric import METRICS
from ablation_lab.study.references import ReferenceValue, Tolerance
from tests.report.golden_store import reference

DRAW = np.random.default_rng(0)
MANY = list(DRAW.normal(0.9, 0.01, 60))
FEW = MANY[:8]
CLOSE = Tolerance(absolute=(0.01,), relative=0.0, why="two printed decimals")


def column(values: list[float]) -> Any:
    return np.array(values, dtype=float).reshape(-1, 1)


@pytest.mark.parametrize(
    ("kind", "printed", "values", "word"),
    [
        ("exact", 242762.0, [242762.0], "reproduced"),
        ("exact", 242762.0, [242763.0], "differs"),
        ("exact", 0.88, [0.880797], "reproduced"),
        ("converged", 0.7694, [0.7695], "reproduced"),
        ("converged", 0.7694, [0.7696], "differs"),
        ("unspecified", None, FEW, "reported"),
        ("cited", 0.5, FEW, "outside"),
        ("cited", 0.9, FEW, "inside"),
        ("dist", 0.9, [], "not attempted"),
        ("dist", 0.9, [0.9, 0.91], "too few"),
        ("dist", 0.9, FEW, "inside"),
        ("dist", 0.8, FEW, "outside"),
        ("dist", 0.9, MANY, "inside"),
        ("dist", 0.8, MANY, "outside"),
        ("dist", 0.97, [0.9699] * 5, "inside"),
        ("erratum", 0.9, MANY, "erratum not confirmed"),
        ("erratum", 0.8, MANY, "erratum confirmed"),
        ("erratum", 0.8, [0.9, 0.91], "too few"),
    ],
)
def test_verdicts(kind: str, printed: float | None, values: list[float], word: str) -> None:
    made = reference("c", kind, values=() if printed is None else (printed,))
    assert judge(made, column(values)).word == word


@pytest.mark.parametrize(
    ("kind", "ours", "word"),
    [
        ("exact", [0.88, 0.735], "reproduced"),
        ("exact", [0.88, 0.745], "differs"),
        ("cited", [0.88, 0.735], "arithmetic checked"),
        ("erratum", [0.88, 0.745], "erratum confirmed"),
        ("erratum", [0.88, 0.735], "erratum not confirmed"),
    ],
)
def test_a_vector_agrees_entry_by_entry(kind: str, ours: list[float], word: str) -> None:
    made = reference("c", kind, values=(0.88, 0.73), tolerance=CLOSE)
    verdict = judge(made, np.array([ours]))
    assert verdict.word == word
    assert "two printed decimals" in verdict.why


def test_infinite_values_agree_with_themselves_only() -> None:
    made = reference("c", "exact", values=(0.0, np.inf), tolerance=CLOSE)
    assert judge(made, np.array([[0.0, np.inf]])).word == "reproduced"
    assert judge(made, np.array([[0.0, 5.0]])).word == "differs"


def test_each_value_may_have_its_own_slack() -> None:
    tolerance = Tolerance(absolute=(0.0, 0.1), relative=0.0, why="each its own")
    made = reference("c", "exact", values=(1.0, 2.0), tolerance=tolerance)
    assert judge(made, np.array([[1.0, 2.05]])).word == "reproduced"
    assert judge(made, np.array([[1.05, 2.0]])).word == "differs"


def test_a_curve_is_outside_if_one_point_is() -> None:
    runs = DRAW.normal(0.5, 0.01, (30, 16))
    inside = reference("c", "dist", values=(0.5,) * 16, updates=tuple(range(16)))
    assert judge(inside, runs).word == "inside"
    off = inside.model_copy(update={"values": (0.5,) * 15 + (0.6,)})
    verdict = judge(off, runs)
    assert verdict.word == "outside"
    assert "15 of 16 points inside" in verdict.why


def test_a_curve_is_rarely_outside_by_chance() -> None:
    """Sixteen points at a level of 0.05/16 each: at most one curve in twenty, but for chance."""
    outside = 0
    for _ in range(200):
        runs = DRAW.normal(size=(11, 16))
        made = reference("c", "dist", values=tuple(runs[0]), updates=tuple(range(16)))
        outside += judge(made, runs[1:]).word == "outside"
    assert outside <= 22  # 99.9 % of binomial(200, 0.05) lies at or below


def test_few_runs_say_that_the_rank_alone_cannot_speak() -> None:
    made = reference("c", "dist", values=(0.8,))
    assert "the rank alone cannot say outside" in judge(made, column(FEW)).why
    assert "cannot" not in judge(made, column(MANY)).why


def test_what_was_not_attempted_says_why() -> None:
    made = reference("c", "cited", values=(1.0,), not_attempted="no such data")
    assert judge(made, column(FEW)).why == "no such data"


@pytest.mark.parametrize(
    ("printed", "unit"), [(0.9769, 1e-4), (0.95, 0.01), (12.0, 1.0), (1200.0, 1.0)]
)
def test_the_unit_of_the_last_printed_digit(printed: float, unit: float) -> None:
    assert printed_unit(printed) == pytest.approx(unit)


def test_no_claim_is_dropped(studies: dict[str, Study]) -> None:
    table = value_table(answers(studies.values())).set_index("id")
    assert table["verdict"].to_dict() == {
        "s1-dropout": "not attempted", "s1-mlp": "outside", "s1-softmax": "inside",
        "s1-xavier": "reported", "s2-keep": "inside",
    }  # fmt: skip
    told = "3 missing: not run; ablation run study=ladder profile=quick trains what is missing"
    assert told in table.loc["s1-dropout", "note"]
    assert table.loc["s2-keep", "n"] == 10


def answered(study: Study, made: ReferenceValue, **changes: Any) -> dict[str, Any]:
    """Return the row of one claim on the first cell of a study."""
    cell = study.declaration.cells[0].cell
    declaration = study.declaration.model_copy(update={"references": {cell: (made,)}})
    made = replace(study, declaration=declaration, **changes)
    (row,) = value_table(answers([made])).to_dict("records")
    return {str(name): value for name, value in row.items()}


def test_a_printed_curve_meets_ours_where_it_was_recorded(studies: dict[str, Study]) -> None:
    study = studies["keep_prob"]
    cell = study.declaration.cells[0].cell
    mine = study.frame[(study.frame["cell"] == cell) & (study.frame["status"] == "finished")]
    points = [
        (cell, row.replicate, row.run_id, step, 1 / step + 0.001 * row.replicate, "train_loss")
        for row in mine.itertuples()
        for step in (10, 20)
    ]
    curves = pd.DataFrame(points, columns=CURVE)
    made = reference(
        "c", "dist", values=(0.104, 0.054, 9.0), updates=(10, 20, 15), metric="train_loss"
    )
    row = answered(study, made, reference_curves=curves)
    assert row["verdict"] == "inside"
    assert "2 of 3 printed points are recorded" in row["note"]
    assert row["n"] == len(mine)
    off = answered(
        study, made.model_copy(update={"values": (0.104, 0.5, 9.0)}), reference_curves=curves
    )
    assert off["verdict"] == "outside"


def test_only_solved_runs_count_where_the_claim_says_so(studies: dict[str, Study]) -> None:
    study = studies["xor_depth"]
    made = reference("c", "dist", values=(0.1,), metric="train_loss", among="solved")
    cell = study.declaration.cells[-1].cell
    declaration = study.declaration.model_copy(update={"references": {cell: (made,)}})
    (row,) = value_table(answers([replace(study, declaration=declaration)])).to_dict("records")
    solved = study.frame[(study.frame["cell"] == cell) & (study.frame["success"] == 1.0)]
    assert row["n"] == len(solved) > 0
    assert f"among the {len(solved)} of 10 runs that solved it" in row["note"]


def test_a_check_is_compared_with_all_its_numbers(studies: dict[str, Study]) -> None:
    study = studies["keep_prob"]
    frame = study.frame.assign(value_0=5.0, value_1=25.0)
    exact = Tolerance(absolute=(0.0,), relative=0.0, why="whole numbers")
    made = reference("c", "exact", values=(5.0, 25.0), metric="value", tolerance=exact)
    assert answered(study, made, frame=frame)["verdict"] == "reproduced"
    assert (
        answered(study, made.model_copy(update={"values": (5.0, 24.0)}), frame=frame)["verdict"]
        == "differs"
    )
    short = answered(study, made.model_copy(update={"values": (5.0, 25.0, 1.0)}), frame=frame)
    assert short["verdict"] == "not attempted"
    assert "the check gives no value_2" in short["note"]


def test_nobody_ranks_the_numbers_of_checks(studies: dict[str, Study]) -> None:
    study = studies["keep_prob"]
    assert finding(study)
    checks = replace(
        study,
        declaration=study.declaration.model_copy(
            update={"metrics": (METRICS.get("value_0").metric,)}
        ),
        frame=study.frame.assign(value_0=1.0),
    )
    assert finding(checks) == ""
    assert list(figures_for(checks)) == ["verdicts"]


def test_runs_that_did_not_converge_are_runs_all_the_same(studies: dict[str, Study]) -> None:
    """A run that is not finite answers like one that guesses; of an optimum it says nothing."""
    study = studies["keep_prob"]
    cell = study.declaration.cells[0].cell
    mine = study.frame["cell"] == cell
    lost, other = study.frame.index[mine][:2]
    frame = study.frame.copy()
    frame.loc[lost, ["test_accuracy", "not_converged", "not_converged_recorded"]] = [
        0.0,
        "non_finite",
        "non_finite",
    ]
    frame.loc[other, ["not_converged", "not_converged_recorded"]] = "accuracy_at_chance"
    made = reference("c", "dist", values=(0.9,))
    row = answered(study, made, frame=frame)
    expected = frame.loc[mine, "test_accuracy"].where(frame["not_converged"] != "non_finite", 0.1)
    assert row["n"] == int(mine.sum())
    assert row["estimate"] == pytest.approx(expected.mean())
    optimum = answered(study, made.model_copy(update={"kind": "converged"}), frame=frame)
    assert optimum["n"] == int(mine.sum()) - 1
    assert "1 runs that are not finite left out" in optimum["note"]
