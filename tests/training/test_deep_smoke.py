"""What the smoke profile of the LSUV table is for: the whole FitNet-4 does learn from LSUV."""

from __future__ import annotations

from math import log
from pathlib import Path

import pytest
import yaml

from ablation_lab.study.declare import declare
from ablation_lab.study.record import NoConvergence, Status
from ablation_lab.study.run import Stack, TrainerName
from ablation_lab.study.schema import parse_study
from ablation_lab.training.execute import execute

STUDY = Path(__file__).parents[2] / "conf" / "study" / "fitnet4.yaml"


@pytest.mark.slow
def test_fitnet_learns_the_digits_from_lsuv() -> None:
    study = parse_study("fitnet4", yaml.safe_load(STUDY.read_text())["fitnet4"])
    runs = [
        run for run in declare(study, "smoke").runs if run.config["model"]["activation"] == "relu"
    ]
    (record,) = execute(Stack(tuple(runs), TrainerName.SINGLE, "a test"))
    assert record.status is Status.FINISHED, record.error
    assert record.not_converged is NoConvergence.NONE
    losses = [loss for _, loss in record.curves["train_loss"]]
    # 19 layers that do not train stay at ln 10, the loss of equal probabilities.
    assert losses[-1] < 0.7 * log(10) < losses[0]
    assert record.metrics["test_accuracy"] > 0.4
