"""Verdicts on printed values."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.claims import claim_table, judge, printed_unit
from analysis.study import Study

MANY = list(np.random.default_rng(0).normal(0.9, 0.01, 60))
FEW = MANY[:8]


@pytest.mark.parametrize(
    ("kind", "printed", "values", "word"),
    [
        ("exact", 242762.0, [242762.0], "reproduced"),
        ("exact", 242762.0, [242763.0], "differs"),
        ("exact", 0.88, [0.880797], "reproduced"),
        ("converged", 0.7694, [0.7695], "reproduced"),
        ("converged", 0.7694, [0.7696], "differs"),
        ("erratum", 0.5, [0.75], "erratum confirmed"),
        ("erratum", 0.5, [0.5], "erratum not confirmed"),
        ("unspecified", None, FEW, "reported"),
        ("cited", 0.5, FEW, "not attempted"),
        ("dist", 0.9, [], "not attempted"),
        ("dist", 0.9, [0.9, 0.91], "too few"),
        ("dist", 0.9, FEW, "inside"),
        ("dist", 0.8, FEW, "outside"),
        ("dist", 0.9, MANY, "inside"),
        ("dist", 0.8, MANY, "outside"),
        ("dist", 0.97, [0.9699] * 5, "inside"),
    ],
)
def test_verdicts(kind: str, printed: float | None, values: list[float], word: str) -> None:
    assert judge(kind, printed, values).word == word


def test_few_runs_say_that_the_rank_alone_cannot_speak() -> None:
    assert "the rank alone cannot say outside" in judge("dist", 0.8, FEW).why
    assert "cannot" not in judge("dist", 0.8, MANY).why


@pytest.mark.parametrize(
    ("printed", "unit"), [(0.9769, 1e-4), (0.95, 0.01), (12.0, 1.0), (1200.0, 1.0)]
)
def test_the_unit_of_the_last_printed_digit(printed: float, unit: float) -> None:
    assert printed_unit(printed) == pytest.approx(unit)


def test_no_claim_is_dropped(studies: dict[str, Study]) -> None:
    table = claim_table(studies.values()).set_index("claim_id")
    assert table["verdict"].to_dict() == {
        "s1-dropout": "not attempted", "s1-mlp": "outside", "s1-softmax": "inside",
        "s1-xavier": "reported", "s2-keep": "inside",
    }  # fmt: skip
    assert "3 missing: not run" in table.loc["s1-dropout", "note"]
    assert table.loc["s2-keep", "n"] == 10
