"""A declaration survives the way through JSON, and a broken one says what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from ablation_lab.study.declaration import declared_text, parse
from ablation_lab.study.factor import FactorRole
from ablation_lab.study.reading import DeclarationError
from tests.report.golden_store import declaration, grid

FACTORS = {"depth": ["1", "2"], "activation": ["relu", "tanh"]}


def made(**changes: Any) -> dict[str, Any]:
    plain = declaration(
        "toy", "quick", factors=FACTORS, cells=grid(FACTORS), replicates=2, metric="test_accuracy"
    )
    return {**plain, **changes}


def test_text_and_parse_are_inverse() -> None:
    first = parse(json.dumps(made(layout={"rows": "depth", "columns": ["activation"]})), "here")
    assert parse(declared_text(first), "there") == first
    assert first.layout is not None
    assert first.layout.rows == ("depth",)
    assert [f.role for f in first.factors] == [FactorRole.SCIENTIFIC] * 2
    assert [r.replicate for r in first.cells[0].runs] == [0, 1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"baseline": "nowhere"}, "baseline 'nowhere' is no declared cell"),
        ({"baselines": {"nowhere": "nowhere"}}, "baselines name 'nowhere', which is no declared"),
        ({"selection": "best_test"}, "unknown selection 'best_test'; known: last_epoch"),
        ({"cells": [{"cell": "a", "factors": {"width": "3"}, "runs": []}]}, "no declared factor"),
        ({"cells": [{"cell": "a", "factors": {"depth": "9"}, "runs": []}]}, "depth='9'"),
        ({"factors": [{"name": "steps", "role": "fixed", "levels": ["1"]}]}, "rename the factor"),
        ({"factors": [{"name": "x", "role": "hidden", "levels": ["1"]}]}, "hidden"),
        ({"cells": made()["cells"][:1] * 2}, "declared twice"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        parse(json.dumps(made(**changes)), "experiment toy")
    assert words in str(caught.value)
    assert str(caught.value).startswith("experiment toy: ")
    assert "\n" not in str(caught.value)


def test_a_missing_field_is_named() -> None:
    broken = made()
    del broken["metrics"]
    with pytest.raises(DeclarationError, match="no field 'metrics'"):
        parse(json.dumps(broken), "here")


def test_importing_the_package_loads_nothing() -> None:
    code = (
        "import sys, ablation_lab; heavy = {'pandas', 'mlflow', 'matplotlib', 'scipy', 'torch'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
