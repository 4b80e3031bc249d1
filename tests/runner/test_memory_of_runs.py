"""What a hundred thousand declared runs cost the driver: a few hundred bytes each, and no more."""

from __future__ import annotations

import tracemalloc

import pytest
import yaml

from ablation_lab.study.declare import declare
from ablation_lab.study.schema import parse_study
from ablation_lab.training.plan import plan
from tests.conftest import CONF

RUNS = 100_000
# Of a run: its key, its place in its cell, and its place in a stack; what runs share is held once.
BYTES = 700


@pytest.mark.slow
def test_declared_and_planned_runs_are_small() -> None:
    declaration = yaml.safe_load((CONF / "study" / "xor_depth.yaml").read_text())["xor_depth"]
    cells = len(declare(parse_study("xor_depth", declaration), "smoke").cells)
    declaration["profiles"]["paper"] = {"replicates": RUNS // cells}
    study = parse_study("xor_depth", declaration)
    tracemalloc.start()
    try:
        declared = declare(study, "paper")
        stacks = plan(declared.runs, data_root=None, plugins=())
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(len(stack.runs) for stack in stacks) == len(declared.runs)
    assert len(declared.runs) > 0.9 * RUNS
    assert held / len(declared.runs) < BYTES
