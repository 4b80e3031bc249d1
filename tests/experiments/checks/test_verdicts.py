"""Every printed value that a check answers: the real check, judged as the report judges it.

What is printed is the number that a check does not know, so a check that computes something else
is seen here, whatever its own test repeats. Where the printed number is wrong, any other one is
judged alike: `test_checks` has another computation of each of those.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from ablation_lab.statistics.reference_values import judge
from ablation_lab.study.metric import CHECKS, compute
from ablation_lab.study.references import ReferenceValue, bind, read_references
from tests.experiments.checks.test_checks import ORACLES

CONF = Path(__file__).parents[3] / "conf"
FACTS = "data_facts"
COMPUTED = "computed"
WORDS = {"exact": "equal", "erratum": "differs", "cited": "equal"}
# The printed mean does not follow from the printed row.
KNOWN = {"s1-voc2010-map-regionlets": "differs"}
# Further numbers of a check that nobody prints: the winning class; a count and a p of our own.
OWN = {"s0-ensemble-sum-table": 1, "s1-rcnn-bb-gain": 2}
# Nothing is printed of them; `test_checks` has another computation of each.
UNPRINTED = {"alexnet_parameters", "alphago_parameters", "inception_3a"}


def loaded(group: str) -> dict[str, object]:
    paths = sorted(CONF.glob(f"{group}/*.yaml"))
    return {path.stem: yaml.safe_load(path.read_text()) for path in paths}


CLAIMS = bind(read_references(loaded("references")), loaded("study"))
COMPUTED_CLAIMS = [claim for claim in CLAIMS if claim.study == COMPUTED]
FACTS_CLAIMS = [claim for claim in CLAIMS if claim.study == FACTS]
LEVELS = yaml.safe_load((CONF / "study" / f"{FACTS}.yaml").read_text())[FACTS]["factors"]["check"]
DATA = {name: settings["data.name"] for name, settings in LEVELS["levels"].items()}


def word(claim: ReferenceValue, numbers: tuple[float, ...]) -> str:
    """Return the verdict on one run of a check; it gives one number for each printed one."""
    count = len(claim.values)
    assert len(numbers) == count + OWN.get(claim.claim_id, 0)
    return judge(claim, np.array([numbers[:count]])).word


def expected(claim: ReferenceValue) -> str:
    return KNOWN.get(claim.claim_id, WORDS[claim.kind])


@pytest.mark.parametrize("claim", COMPUTED_CLAIMS, ids=lambda claim: claim.claim_id)
def test_a_computed_check_gets_its_verdict(claim: ReferenceValue) -> None:
    assert word(claim, compute({"check": {"name": claim.cell["check"]}}, None)) == expected(claim)


@pytest.mark.parametrize("claim", FACTS_CLAIMS, ids=lambda claim: claim.claim_id)
def test_a_fact_about_data_gets_its_verdict(claim: ReferenceValue) -> None:
    if not os.environ.get("ABLATION_DATA"):
        pytest.skip("real data files are missing: set ABLATION_DATA to the folder that has them")
    name = claim.cell["check"]
    config = {"check": {"name": name}, "data": {"name": DATA[name]}}
    assert word(claim, compute(config, Path(os.environ["ABLATION_DATA"]))) == expected(claim)


def test_every_check_is_held_by_something_printed() -> None:
    held = {claim.cell["check"] for claim in (*COMPUTED_CLAIMS, *FACTS_CLAIMS)}
    assert set(CHECKS.names()) - held == UNPRINTED


def test_a_number_that_is_not_the_printed_one_is_computed_twice() -> None:
    alone = {claim.cell["check"] for claim in COMPUTED_CLAIMS if expected(claim) == "differs"}
    assert alone <= set(ORACLES)
    assert set(ORACLES) >= UNPRINTED


def test_a_wrong_number_gets_another_verdict() -> None:
    for claim in (each for each in COMPUTED_CLAIMS if each.kind == "exact"):
        first, *others = compute({"check": {"name": claim.cell["check"]}}, None)
        assert word(claim, (2 * first + 2, *others)) == "differs", claim.claim_id
