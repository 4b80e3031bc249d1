"""The fourth section: a stack against the same runs one after the other, family by family."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from ablation_lab.data import DATASETS, load
from ablation_lab.study.run import Training
from ablation_lab.training import single, stacked
from ablation_lab.training.schedule import total_steps
from tests.bench import measure
from tests.bench.report import Section
from tests.bench.rows import ALONE, SECONDS, Row
from tests.bench.workloads import replicates

TEXT = """Whole fits of {runs} runs, set-up and validation included, in one process with one
thread: as one stack, and one after the other as solo runs, in turns. Settings are those of the
study that is named, if one is.
"""
RUNS = 32
EPOCHS = {"epochs": 20, "batch_size": 100}


@dataclass(frozen=True)
class Fit:
    """Runs of one kind: the ``run`` section that a study would give them."""

    title: str
    model: Mapping[str, Any]
    data: str
    optimizer: Mapping[str, Any]
    training: Mapping[str, Any]

    @property
    def section(self) -> dict[str, Any]:
        """Return the ``run`` section."""
        return {
            "model": dict(self.model),
            "data": {"name": self.data},
            "optimizer": dict(self.optimizer),
            "training": dict(self.training),
        }


def tf_adam(learning_rate: float, **others: float) -> dict[str, Any]:
    """Return the settings of TensorFlow's Adam."""
    return {"name": "adam_tf", "learning_rate": learning_rate, **others}


FITS = (
    Fit("char_rnn, `char_rnn`", {"family": "char_rnn"}, "name_text", tf_adam(0.1), {"epochs": 20}),
    Fit(
        "linear_regression, `toys_linear`",
        {"family": "linear_regression", "init": "normal", "bias_init": "normal"},
        "line2",
        {"name": "sgd", "learning_rate": 0.01},
        {"steps": 2001},
    ),
    Fit(
        "lstm, `lstm_ramp`, 100 of its epochs",
        {"family": "lstm"},
        "ramp",
        tf_adam(0.001, epsilon=1e-7),
        {"epochs": 100, "batch_size": 32},
    ),
    Fit(
        "softmax on digits, `optimizers`, adam_tf",
        {"family": "linear"},
        "digits",
        tf_adam(0.01),
        EPOCHS,
    ),
    Fit(
        "64-64-64-10 on digits, `optimizers`, adam_tf",
        {"family": "mlp", "widths": [64, 64]},
        "digits",
        tf_adam(0.01),
        EPOCHS,
    ),
    Fit(
        "MLP 64-64-10 on digits, adam",
        {"family": "mlp", "widths": [64]},
        "digits",
        {"name": "adam", "learning_rate": 0.001},
        EPOCHS,
    ),
    Fit(
        "autoencoder 64-32-8-32-64 on digits, adam",
        {"family": "autoencoder", "widths": [32, 8]},
        "digits",
        {"name": "adam", "learning_rate": 0.001},
        EPOCHS,
    ),
)


def rows_of_fits(rounds: int) -> Iterator[Row]:
    """Measure every kind of run."""
    for fit in FITS:
        yield from rows_of(fit, rounds, count=RUNS)


def rows_of(fit: Fit, rounds: int, *, count: int) -> list[Row]:
    """Measure so many runs of one kind as a stack, and one after the other."""
    runs = replicates(fit.title, fit.section, count)
    data, dataset = load(fit.data)[0], DATASETS.get(fit.data)

    def together() -> float:
        started = time.perf_counter()
        stacked.train(runs, data, dataset)
        return time.perf_counter() - started

    def one_by_one() -> float:
        started = time.perf_counter()
        for run in runs:
            single.train(run, data, dataset)
        return time.perf_counter() - started

    names = f"stack of {count}", f"{count} runs, one after the other"
    found = measure.in_turns(rounds, dict(zip(names, (together, one_by_one), strict=True)))
    against = {ALONE: median(found[names[1]])}
    steps = total_steps(Training(**runs[0].config["training"]), len(data.train))
    title = f"{fit.title} ({steps:,} steps)"
    return [Row(title, name, SECONDS, values, against) for name, values in found.items()]


STACKS = Section("A stack against its runs", TEXT.format(runs=RUNS), rows_of_fits)
