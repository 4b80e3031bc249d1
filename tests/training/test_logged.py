"""What a module of a user's own logs is a metric of its run, and so is a registered function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ablation_lab.errors import ConfigurationError
from ablation_lab.runner.results import validate_metrics
from ablation_lab.study.declare import declare
from ablation_lab.study.metric import METRICS, Direction, Metric, metric
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.study.schema import parse_study
from ablation_lab.training.execute import execute, validation_score

MakeRun = Callable[..., Run]
pytestmark = pytest.mark.usefixtures("_own_modules")
TELLING: dict[str, Any] = {
    "data": {"name": "digits", "train_size": 60},
    "model": {"family": "test_telling"},
    "training": {"epochs": 3, "batch_size": 20},
}


def trained(run: Run) -> Record:
    (record,) = execute(Stack((run,), TrainerName.SINGLE, "a test"))
    assert record.status is Status.FINISHED, record.error
    return record


@pytest.fixture
def halves() -> Iterator[str]:
    """Return the name of a registered function while the test runs."""

    @metric("test_halves", direction="maximize")
    def half_right(outputs: NDArray[np.float32], targets: NDArray[Any]) -> float:
        return float((outputs.argmax(-1) == targets).mean()) / 2

    yield "test_halves"
    METRICS._things.pop("test_halves")


def test_what_a_module_logs_are_curves_and_final_values_of_its_run(make_run: MakeRun) -> None:
    record = trained(make_run(**TELLING))
    assert record.curves["steps_seen"] == ((3, 2.0), (6, 5.0), (9, 8.0))
    assert record.curves["late"] == ((3, 0.0), (6, 1.0), (9, 2.0))
    assert len(record.curves["margin"]) == 3
    assert record.curves["both"] == ((3, 1.0), (6, 1.0), (9, 1.0))
    assert not [name for name in record.curves if name.endswith(("_step", "_epoch"))]
    assert record.metrics["f1"] == pytest.approx(record.metrics["test_accuracy"])


def test_what_the_lab_measures_keeps_its_value(make_run: MakeRun) -> None:
    record = trained(make_run(**TELLING))
    assert 0 <= record.metrics["test_accuracy"] <= 1
    for name in ("train_loss", "val_accuracy"):
        assert all(value < 99 for _, value in record.curves[name])


def test_what_it_logs_is_kept_where_a_point_is_due(make_run: MakeRun) -> None:
    long = {"epochs": 40, "batch_size": 60}
    record = trained(make_run(**{**TELLING, "training": long}))
    points = [step for step, _ in record.curves["val_accuracy"]]
    assert len(points) < 40
    assert [step for step, _ in record.curves["validations"]] == points


def test_looking_changes_nothing(make_run: MakeRun) -> None:
    silent = {**TELLING, "model": {"family": "test_reckless"}}
    one, other = trained(make_run(**TELLING)), trained(make_run(**silent))
    for name in ("train_loss", "val_accuracy"):
        assert one.curves[name] == other.curves[name]


def test_a_run_is_tuned_on_what_its_task_measures(make_run: MakeRun) -> None:
    stack = Stack((make_run(**TELLING),), TrainerName.SINGLE, "a test")
    assert 0 <= validation_score(stack) <= 1


@pytest.mark.parametrize("model", [{"family": "test_telling"}, {"family": "linear"}])
def test_a_registered_function_is_computed_on_the_test_set(
    make_run: MakeRun, halves: str, model: dict[str, Any]
) -> None:
    run = make_run(**{**TELLING, "model": model})
    run.config["training"]["metrics"] = [halves]  # type: ignore[index]
    record = trained(run)
    assert record.metrics[halves] == pytest.approx(record.metrics["test_accuracy"] / 2)


def test_a_function_that_raises_is_named(make_run: MakeRun, halves: str) -> None:
    run = make_run(**{**TELLING, "model": {"family": "autoencoder", "widths": [2]}})
    run.config["training"]["metrics"] = [halves]  # type: ignore[index]
    (record,) = execute(Stack((run,), TrainerName.SINGLE, "a test"))
    assert record.status is Status.FAILED
    assert "metric 'test_halves'" in record.reason


def test_a_function_is_in_the_runs_of_the_studies_that_measure_by_it(
    declaration: dict[str, Any], halves: str
) -> None:
    before = declare(parse_study("small", declaration), "smoke").runs[0]
    declaration["metrics"] = [halves]
    after = declare(parse_study("small", declaration), "smoke").runs[0]
    assert "metrics" not in before.config["training"]
    assert after.config["training"]["metrics"] == [halves]
    assert after.key != before.key


def test_a_metric_that_nobody_logs_is_said_after_the_first_run(make_run: MakeRun) -> None:
    record = trained(make_run(**TELLING))
    own = [Metric(name=name, direction=Direction.MAXIMIZE) for name in ("f1", "margin")]
    validate_metrics(record, own)
    missing = Metric(name="margins", direction=Direction.MAXIMIZE)
    line = r"study/small.yaml: c: metric 'margins' is not among .* 'margin'.*self.log\('margins'"
    with pytest.raises(ConfigurationError, match=line):
        validate_metrics(record, [*own, missing])
    # One that the lab measures may be absent, and a run that failed has none.
    validate_metrics(record, [METRICS.get("first_exact_step").metric])
    failed = Record(record.run, Status.FAILED, TrainerName.SINGLE)
    validate_metrics(failed, [missing])
