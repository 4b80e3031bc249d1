"""What a study cost: in words, with its price, by verdict, and what the open ones would take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from ablation_lab.report.study import Study
from ablation_lab.statistics.costs import cost_of
from ablation_lab.store.frame import typed
from ablation_lab.study.record import Status
from tests.report.grids import declared

RATES = {"per_cpu_hour": 0.5, "per_gpu_hour": 2.0, "per_kwh": 0.25, "currency": "EUR"}
# One level is far from the baseline, one a little better, one as good.
LEVELS = {"base": 0.0, "far": 0.2, "near": 0.006, "same": 0.0}
NOISE = (0.01, -0.01, 0.0, 0.02, -0.02, 0.01, -0.01, 0.0)


@pytest.fixture
def study() -> Study:
    made = declared({"a": list(LEVELS)}, len(NOISE), baseline="a=base")
    rows = [
        {
            "study": made.study, "cell": f"a={name}", "a": name, "replicate": r,
            "run_id": f"{name}{r}", "status": Status.FINISHED,
            made.metric: 0.5 + mean + NOISE[(r + 3 * k) % len(NOISE)],
            "not_converged": "", "not_converged_recorded": "", "cpu_seconds": 450.0,
            "gpu_seconds": 0.0, "joules": 0.0, "metered_by": "",
        }
        for k, (name, mean) in enumerate(LEVELS.items()) for r in range(len(NOISE))
    ]  # fmt: skip
    return Study(made, typed(pd.DataFrame(rows), made))


def said(study: Study, rates: Mapping[str, Any] | None = None) -> str:
    return cost_of(study.frame, study.compared.every, rates or {})


def test_each_verdict_and_what_is_open_has_its_part(study: Study) -> None:
    total, verdict, near, far = said(study).split("; ")
    assert total == "4.0 h of CPU in 32 runs"
    assert verdict == "a verdict cost about 4.0 h of CPU"
    assert near.startswith("to decide 1 that are open, if they are as estimated, would cost about ")
    assert far == "1 open would take more than 1,000 replicates"


def test_a_price_stands_where_rates_are_declared_and_energy_with_its_meter(study: Study) -> None:
    frame = study.frame.assign(gpu_seconds=225.0, joules=3.6e6 / 32, metered_by="NVML 0")
    total = said(replace(study, frame=frame), RATES).split("; ")[0]
    assert total == "4.0 h of CPU, 2.0 h of GPU, 1 kWh by NVML 0, 6.25 EUR in 32 runs"


def test_of_runs_that_do_not_say_nothing_is_said(study: Study) -> None:
    frame = study.frame.assign(cpu_seconds=float("nan"))
    assert said(replace(study, frame=frame)) == ""
