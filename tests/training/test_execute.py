"""What a worker gives back: scored once, n/c noted with its step, failures as records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.multiprocessing import ProcessRaisedException

from ablation_lab.errors import ConfigurationError
from ablation_lab.study.record import NoConvergence, Record, Status
from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.training import distributed, single, stacked
from ablation_lab.training.execute import execute
from ablation_lab.training.fault import ADVICE
from ablation_lab.training.validate import validate_stack

MakeRun = Callable[..., Run]
DIGITS: dict[str, Any] = {
    "data": {"name": "digits", "train_size": 200},
    "model": {"family": "linear"},
    "optimizer": {"name": "adam", "learning_rate": 0.05},
    "training": {"epochs": 4, "batch_size": 20},
}


def alone(run: Run) -> Record:
    (record,) = execute(Stack((run,), TrainerName.SINGLE, "a test"))
    return record


def test_a_record_describes_the_run(make_run: MakeRun) -> None:
    run = make_run(**DIGITS)
    record = alone(run)
    assert record.run is run
    assert record.status is Status.FINISHED
    assert record.trainer is TrainerName.SINGLE
    assert set(record.metrics) == {"test_accuracy", "parameters"}
    assert record.metrics["parameters"] == 64 * 10 + 10
    assert record.metrics["test_accuracy"] > 0.5
    assert set(record.curves) == {"train_loss", "val_accuracy"}
    assert record.steps == 40
    assert record.seconds > 0
    assert record.not_converged is NoConvergence.NONE
    assert record.not_converged_step is None
    assert record.logits is None
    assert record.reason == "a test"


def test_members_of_ensembles_keep_their_test_logits(make_run: MakeRun) -> None:
    run = Run(**{**vars(make_run(**DIGITS)), "keep_logits": True})
    record = alone(run)
    assert record.logits is not None
    assert record.logits.shape == (300, 10)
    assert record.logits.dtype == "float32"


@pytest.mark.parametrize("trainer", [TrainerName.SINGLE, TrainerName.STACKED])
def test_where_the_test_set_is_the_training_set_the_number_says_so(
    make_run: MakeRun, trainer: TrainerName
) -> None:
    run = make_run(model__widths=[10], training__steps=300, optimizer__learning_rate=0.5)
    (record,) = execute(Stack((run,), trainer, "a test"))
    assert set(record.metrics) == {"train_accuracy", "success", "parameters"}
    assert record.metrics["success"] == float(record.metrics["train_accuracy"] == 1.0)
    assert set(record.curves) == {"train_loss"}


@pytest.mark.parametrize("trainer", [TrainerName.SINGLE, TrainerName.STACKED])
def test_divergence_is_an_outcome_with_its_step(make_run: MakeRun, trainer: TrainerName) -> None:
    run = make_run(model__activation="relu", optimizer__learning_rate=1e4, training__steps=300)
    (record,) = execute(Stack((run,), trainer, "a test"))
    assert record.status is Status.FINISHED
    assert record.not_converged is NoConvergence.NON_FINITE
    assert record.not_converged_step is not None
    assert 1 <= record.not_converged_step < 300
    assert record.metrics["success"] == 0.0


def test_a_run_that_learns_nothing_is_nc_at_its_end(make_run: MakeRun) -> None:
    record = alone(make_run(**{**DIGITS, "optimizer": {"name": "sgd", "learning_rate": 1e-9}}))
    assert record.not_converged is NoConvergence.LOSS_AT_CHANCE
    assert record.not_converged_step == record.steps == 40


def test_an_exception_is_a_failed_record_of_every_run(make_run: MakeRun) -> None:
    runs = tuple(make_run(replicate=n, model__activation="reluu") for n in range(2))
    records = execute(Stack(runs, TrainerName.STACKED, "a test"))
    assert [record.run for record in records] == list(runs)
    for record in records:
        assert record.status is Status.FAILED
        assert record.reason.startswith(
            "family 'mlp', building it: UnknownName: unknown activation 'reluu'; nearest: 'relu'"
        )
        assert "Traceback" in record.error
        assert record.metrics == {}


def test_check_says_what_is_wrong_before_anything_trains(make_run: MakeRun) -> None:
    def line(**changes: Any) -> str:
        run = make_run(cell="width=2", **changes)
        return validate_stack(Stack((run,), TrainerName.SINGLE, "r"))

    assert line() == ""
    place = "study/small.yaml: width=2: "
    assert line(model__init="xaviar_uniform").startswith(place + "unknown initialiser 'xaviar_unif")
    assert "nearest: 'xavier_uniform'" in line(model__init="xaviar_uniform")
    with pytest.raises(ConfigurationError, match=r"optimizer\.name: unknown name 'sdg'; nearest"):
        line(optimizer__name="sdg")
    assert line(model__bias_init="he_normal").startswith(place + "initialiser 'he_normal' for")


def test_what_several_devices_would_ignore_or_cannot_share_fails_the_check(
    make_run: MakeRun,
) -> None:
    def line(**training: Any) -> str:
        run = make_run(**DIGITS | {"training": {"epochs": 4, "batch_size": 20} | training})
        return validate_stack(Stack((run,), TrainerName.SINGLE, "r", devices=4))

    assert line() == ""
    # Of 200 examples, a full batch.
    assert line(batch_size=None) == ""
    assert line(batch_size=30).startswith(
        "study/small.yaml: c: training.batch_size: 30 examples cannot be shared equally by 4 dev"
    )
    assert "engine.devices_per_run=1" in line(batch_size=30)
    for name, value in [
        ("precision", "bf16"),
        ("patience", 3),
        ("selection", "best_on_validation"),
        ("drop_last", False),
    ]:
        assert f"training.{name}: {value!r} is for a run on one device" in line(**{name: value})


def test_rules_that_a_module_of_ones_own_would_ignore_fail_the_check(make_run: MakeRun) -> None:
    class Own(pl.LightningModule):
        def __init__(self, **_: Any) -> None:
            super().__init__()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(single, "build_module", lambda run, dataset: Own())
        own = Stack((make_run(training__patience=3),), TrainerName.SINGLE, "r")
        assert "study/small.yaml: c: training.patience: family 'mlp' trains" in validate_stack(own)
        keeping = {"epochs": 1, "batch_size": 3, "drop_last": False}
        kept = replace(own, runs=(make_run(training=keeping),))
        assert not validate_stack(kept)
        assert validate_stack(replace(own, runs=(make_run(),))) == ""


def test_a_network_without_room_fails_the_check(make_run: MakeRun) -> None:
    run = make_run(model__widths=[10**7, 10**7])
    line = validate_stack(Stack((run,), TrainerName.SINGLE, "r"))
    assert line.startswith("study/small.yaml: c: one run does not fit the memory of its device: ")
    assert "you tried to allocate 400000000000000 bytes" in line
    assert "give it a smaller training.batch_size" in line


def test_a_run_on_several_devices_without_room_says_so_too(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise ProcessRaisedException(
            "\n\n-- Process 1 terminated with the following error:\n"
            "Traceback (most recent call last):\n  File ...\n"
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
            error_index=1,
            error_pid=7,
        )

    monkeypatch.setattr(distributed, "train", full)
    (record,) = execute(Stack((make_run(),), TrainerName.SINGLE, "r", devices=2))
    assert not record.fits
    assert "its device: CUDA out of memory. Tried to allocate 2.00 GiB; give it" in record.reason


@pytest.mark.parametrize("trainer", [TrainerName.SINGLE, TrainerName.STACKED])
def test_a_run_without_room_says_what_did_not_fit(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, trainer: TrainerName
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.10 "
            "GiB of which 9.00 GiB is free. Process 1 has 70.10 GiB memory in use."
        )

    monkeypatch.setattr(single, "train", full)
    monkeypatch.setattr(stacked, "_train_together", full)
    (record,) = execute(Stack((make_run(),), trainer, "r"))
    assert (record.status, record.fits) == (Status.FAILED, False)
    assert record.reason == (
        "one run does not fit the memory of its device: CUDA out of memory. Tried to allocate "
        f"20.00 GiB. GPU 0 has a total capacity of 79.10 GiB of which 9.00 GiB is free; {ADVICE}"
    )
    assert "Process 1 has" in record.error


def test_a_plugin_that_is_not_there_fails_the_check(make_run: MakeRun) -> None:
    stack = Stack((make_run(),), TrainerName.SINGLE, "r", plugins=("no_such_package",))
    assert "No module named 'no_such_package'" in validate_stack(stack)
    assert execute(stack)[0].status is Status.FAILED
