"""Verdicts on printed values, the table of all of them, and the summary that is printed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ablation_lab.report.figures import figures_for
from ablation_lab.report.findings import finding
from ablation_lab.report.reference_values import answers, family, value_table
from ablation_lab.report.study import CURVE, Study
from ablation_lab.statistics.reference_values import Verdict, Word, judge, printed_unit
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
    ("kind", "printed", "values", "text"),
    [
        ("unspecified", None, FEW, "reported"),
        ("cited", 0.5, FEW, "differs"),
        ("cited", 0.9, FEW, "consistent"),
        ("dist", 0.9, [], "not attempted"),
        ("dist", 0.9, [0.9, 0.91], "not decidable (n ≥ 3)"),
        ("dist", 0.9, FEW, "consistent"),
        ("dist", 0.8, FEW, "differs"),
        ("dist", 0.9, MANY, "consistent"),
        ("dist", 0.8, MANY, "differs"),
        ("dist", 0.5, [0.1] * 4 + [0.95, 0.951, 0.96, 0.97], "not decidable (n ≥ 39)"),
        ("dist", 0.97, [0.9] * 5, "not decidable (n ≥ 39)"),  # no spread to hold it against
        ("dist", 0.97, [0.9] * 40, "differs"),
        ("erratum", 0.8, MANY, "differs"),
    ],
)
def test_verdicts(kind: str, printed: float | None, values: list[float], text: str) -> None:
    made = reference("c", kind, values=() if printed is None else (printed,))
    assert judge(made, column(values)).text == text


@pytest.mark.parametrize("kind", ["exact", "converged", "cited", "erratum"])
def test_without_chance_every_number_of_every_run_is_within_its_tolerance(kind: str) -> None:
    made = reference("c", kind, values=(0.88, 0.73), tolerance=CLOSE)
    same = judge(made, np.array([[0.88, 0.735], [0.89, 0.72]]))
    assert same.text == "equal"
    assert "two printed decimals" in same.why
    one_off = judge(made, np.array([[0.88, 0.735], [0.88, 0.745]]))
    assert one_off.text == "differs"
    assert "1 of 2 runs within the tolerance" in one_off.why


def test_infinite_values_agree_with_themselves_only() -> None:
    made = reference("c", "exact", values=(0.0, np.inf), tolerance=CLOSE)
    assert judge(made, np.array([[0.0, np.inf]])).word == Word.EQUAL
    assert judge(made, np.array([[0.0, 5.0]])).word == Word.DIFFERS


def test_each_value_may_have_its_own_slack() -> None:
    tolerance = Tolerance(absolute=(0.0, 0.1), relative=0.0, why="each its own")
    made = reference("c", "exact", values=(1.0, 2.0), tolerance=tolerance)
    assert judge(made, np.array([[1.0, 2.05]])).word == Word.EQUAL
    assert judge(made, np.array([[1.05, 2.0]])).word == Word.DIFFERS


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
        "s1-dropout": "not attempted", "s1-mlp": "differs", "s1-softmax": "consistent",
        "s1-xavier": "reported", "s2-keep": "consistent",
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
    assert row["verdict"] == "consistent"
    assert "2 of 3 printed points are recorded" in row["note"]
    assert row["n"] == len(mine)
    off = answered(
        study, made.model_copy(update={"values": (0.104, 0.5, 9.0)}), reference_curves=curves
    )
    assert off["verdict"] == "differs"


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
    assert answered(study, made, frame=frame)["verdict"] == "equal"
    assert (
        answered(study, made.model_copy(update={"values": (5.0, 24.0)}), frame=frame)["verdict"]
        == "differs"
    )
    short = answered(study, made.model_copy(update={"values": (5.0, 25.0, 1.0)}), frame=frame)
    assert short["verdict"] == "not attempted"
    assert "the check gives no value_2" in short["note"]


def test_nobody_ranks_the_numbers_of_checks(studies: dict[str, Study]) -> None:
    study = studies["keep_prob"]
    assert "higher" in finding(study) or "lower" in finding(study)
    checks = replace(
        study,
        declaration=study.declaration.model_copy(
            update={"metrics": (METRICS.get("value_0").metric,)}
        ),
        frame=study.frame.assign(value_0=1.0),
    )
    finished = int((study.frame["status"] == "finished").sum())
    said = (
        f"{finished} of {len(study.frame)} checks ran; the one reference value cannot be decided."
    )
    assert finding(checks) == said
    assert list(figures_for(checks)) == ["verdicts"]


def test_runs_that_did_not_converge_are_runs_all_the_same(studies: dict[str, Study]) -> None:
    """A run that is not finite answers like one that guesses; an optimum it has not reached."""
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
    tolerance = Tolerance(absolute=(0.3,), relative=0.0, why="far")
    optimum = made.model_copy(update={"kind": "converged", "tolerance": tolerance})
    row = answered(study, optimum, frame=frame)
    assert row["verdict"] == "differs"
    assert f"{int(mine.sum()) - 1} of {int(mine.sum())} runs within" in row["note"]


def verdict_on(study: Study, made: ReferenceValue, cell: str) -> Verdict:
    """The verdict on one reference value of a cell."""
    declaration = study.declaration.model_copy(update={"references": {cell: (made,)}})
    (answer,) = answers([replace(study, declaration=declaration)])
    return answer.verdict


def test_a_source_that_says_which_is_better_differs_where_ours_is_reversed(
    studies: dict[str, Study],
) -> None:
    study = studies["xor_depth"]
    rates = {each.cell: each.successes / len(each.values) for each in study.outcomes.values()}
    worse, better = min(rates, key=lambda c: rates[c]), max(rates, key=lambda c: rates[c])
    levels = {cell.cell: cell.factors for cell in study.declaration.cells}
    said = reference("c", "dist", text="trains well", than=levels[worse])
    right = verdict_on(study, said, better)
    assert right.word is Word.CONSISTENT
    assert f"{rates[better]:g} against {rates[worse]:g} of {worse}" in right.why
    wrong = verdict_on(study, said.model_copy(update={"than": levels[better]}), worse)
    assert wrong.word is Word.DIFFERS
    assert "ours is worse" in wrong.why


def test_a_curve_and_its_end_point_are_one_printed_run(studies: dict[str, Study]) -> None:
    """An accuracy that our ten runs could not exclude, beside one that they do: both differ."""
    study = studies["keep_prob"]
    cell = study.declaration.cells[0].cell
    end = reference("end", "dist", values=(0.95,), source="deck")
    loss = reference("loss", "dist", values=(9.0,), metric="train_loss", source="deck")
    other = reference("other", "dist", values=(0.95,), source="another deck")
    references = {"references": {cell: (end, loss, other)}}
    frame = study.frame.assign(train_loss=study.frame["test_accuracy"] / 10)
    declaration = study.declaration.model_copy(update=references)
    found = answers([replace(study, frame=frame, declaration=declaration)])
    assert {a.reference.claim_id: a.verdict.word for a in found} == {
        "end": Word.DIFFERS, "loss": Word.DIFFERS, "other": Word.CONSISTENT,
    }  # fmt: skip
    assert "one printed run with loss, 2 numbers" in found[0].verdict.why
    assert len(family(found).p) == 2


def test_a_printed_nc_is_held_against_how_many_of_ours_did_not_converge(
    studies: dict[str, Study],
) -> None:
    study = studies["keep_prob"]
    cell = study.declaration.cells[0].cell
    mine = study.frame.index[study.frame["cell"] == cell]
    many = study.frame.loc[mine.repeat(6)].assign(replicate=range(60), not_converged="")
    many["run_id"] = [f"run-{r}" for r in range(60)]
    made = reference("c", "cited", values=(1.0,), text="n/c", metric="not_converged")
    assert verdict_on(replace(study, frame=many), made, cell).word is Word.DIFFERS
    many.loc[many["replicate"] < 20, "not_converged"] = "accuracy_at_chance"
    found = verdict_on(replace(study, frame=many), made, cell)
    assert found.word is Word.CONSISTENT
    few = verdict_on(study, made, cell)
    assert few.text == "not decidable (n ≥ 39)"


def test_how_near_ours_come_to_the_right_answer_is_what_is_compared(
    studies: dict[str, Study],
) -> None:
    """A printed 3.9998 lies amid runs between -2 and 7; that few of them come so near is said."""
    study = studies["keep_prob"]
    cell = study.declaration.cells[0].cell
    mine = study.frame.index[study.frame["cell"] == cell]
    many = study.frame.loc[mine.repeat(10)].assign(replicate=range(100))
    many["prediction"] = np.linspace(-2.05, 7, 100)
    made = reference("c", "dist", values=(3.9998,), metric="prediction")
    assert verdict_on(replace(study, frame=many), made, cell).word is Word.CONSISTENT
    near = verdict_on(replace(study, frame=many), made.model_copy(update={"target": 4.0}), cell)
    assert near.word is Word.DIFFERS
    assert "0 of 100 runs come as near to 4 as it" in near.why


def test_what_the_source_does_not_print_stands_beside_the_verdict(
    studies: dict[str, Study],
) -> None:
    study = studies["keep_prob"]
    made = reference("c", "dist", values=(0.5,), assumes="the optimiser")
    found = verdict_on(study, made, study.declaration.cells[0].cell)
    assert found.word is Word.DIFFERS
    assert "the source does not print the optimiser" in found.why
