"""What a worker does with a stack: load data, train, score once, and describe it as records.

The trainers get train and validation; the test set is touched here, once, after the last step.
Any exception becomes a failed record with its traceback; the study goes on.
"""

from __future__ import annotations

import importlib
import time
import traceback
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ablation_lab.data import DATASETS, Dataset, Part, TrainingData, load
from ablation_lab.study.convergence import no_convergence
from ablation_lab.study.observation import Observation
from ablation_lab.study.record import NoConvergence, Record, Status
from ablation_lab.study.run import Run, Stack, TrainerName, Training
from ablation_lab.training.answers import answers, asked
from ablation_lab.training.compiling import let_every_shape_compile
from ablation_lab.training.memory import does_not_fit, is_out_of_memory
from ablation_lab.training.tasks import first_exact_step, score
from ablation_lab.training.trained import Trained
from lightning_modules.task import Task, task_of

if TYPE_CHECKING:
    import pytorch_lightning as pl

# Generated images that are kept: a square of them.
SAMPLES = 64
# What has an answer at a point; of a sequence or an image there is none.
ANSWERING = (Task.CLASSIFICATION, Task.REGRESSION)


def execute(stack: Stack) -> list[Record]:
    """Train the runs of a stack and return their records, in order."""
    started = time.time()
    try:
        for name in stack.plugins:
            importlib.import_module(name)
        return _train(stack, started)
    except Exception as error:  # a run that raises is a result of its own
        return [_failed(run, stack, started, error) for run in stack.runs]


def check(stack: Stack) -> str:
    """Build the first run's module without training it; return what is wrong with it, or ''."""
    from ablation_lab.training.observed import why_not
    from ablation_lab.training.solo import build_module
    from lightning_modules.classifier import Classifier
    from lightning_modules.learner import Learner

    run = stack.runs[0]
    try:
        for name in stack.plugins:
            importlib.import_module(name)
        dataset = DATASETS.get(run.config["data"]["name"])
        points = run.config["training"].get("ask") or ()
        asked(points, dataset.shape)
        module = build_module(run, dataset)
        if points and task_of(module) not in ANSWERING:
            family = run.config["model"]["family"]
            return _place(run, f"training.ask: family {family!r} has no answer at a point")
        if isinstance(module, Classifier | Learner):
            # A setting that the optimiser would ignore is refused here.
            module.configure_optimizers()
        refuse_training(module, run, dataset, devices=stack.devices)
        if run.config["training"].get("observe"):
            return _place(run, why_not(module, run.config["model"]["family"]))
    except (ValueError, TypeError, KeyError, ImportError) as error:
        return _place(run, str(error))
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            return _place(run, does_not_fit(error))
        raise
    return ""


def refuse_training(
    module: pl.LightningModule, run: Run, dataset: Dataset, *, devices: int
) -> None:
    """Refuse settings of the training that whoever trains such a module would ignore.

    Errors: ValueError.
    """
    from ablation_lab.training import distributed
    from ablation_lab.training.rules import refuse_rules
    from lightning_modules.classifier import Classifier
    from lightning_modules.learner import Learner

    training = Training(**run.config["training"])
    if devices > 1:
        size = run.config["data"]["train_size"]
        examples = min(dataset.examples, size or dataset.examples)
        distributed.refuse(training, examples=examples, devices=devices)
    if not isinstance(module, Classifier | Learner):
        family = run.config["model"]["family"]
        refuse_rules(training, family)
        for name in ("remainder", "points"):
            if value := getattr(training, name):
                raise ValueError(
                    f"training.{name}: family {family!r} trains by itself and would ignore "
                    f"{value!r}; leave it out"
                )


def _place(run: Run, error: str) -> str:
    return error and f"study/{run.study}.yaml: {run.cell}: {error}"


def _train(stack: Stack, started: float) -> list[Record]:
    # Imported here so that a driver that only plans never waits for torch.
    from ablation_lab.training import distributed, observed, own_schedule, solo, stacked
    from ablation_lab.training.precision import precision

    data_section = stack.runs[0].config["data"]
    dataset = DATASETS.get(data_section["name"])
    data, test = _load(data_section["name"], stack.data_root, data_section["train_size"])
    observation: Observation | None = None
    with precision(stack.runs[0].config["training"].get("precision")):
        if stack.trainer is TrainerName.OBSERVED:
            result, observation = observed.train(stack.runs[0], data, dataset)
            trained = [result]
        elif stack.trainer is TrainerName.STACKED:
            let_every_shape_compile()
            trained = stacked.train(list(stack.runs), data, dataset)
        elif stack.trainer is TrainerName.OWN_SCHEDULE:
            trained = [own_schedule.train(stack.runs[0], data, dataset)]
        elif stack.devices > 1:
            trained = [distributed.train(stack.runs[0], data, dataset, devices=stack.devices)]
        else:
            trained = [solo.train(stack.runs[0], data, dataset)]
    seconds = (time.time() - started) / len(trained)
    records = [
        _record(run, stack, result, dataset, test, started=started, seconds=seconds)
        for run, result in zip(stack.runs, trained, strict=True)
    ]
    points = stack.runs[0].config["training"].get("ask")
    if points:
        records = [
            replace(record, metrics={**record.metrics, **answers(result, points, dataset.shape)})
            for record, result in zip(records, trained, strict=True)
        ]
    return records if observation is None else [observed_record(records[0], observation)]


def observed_record(record: Record, observation: Observation) -> Record:
    """Return the record of a run with what was seen in its layers."""
    curves = {**record.curves, **observation.curves}
    return replace(record, curves=curves, observation=observation.text)


@lru_cache(maxsize=2)
def _load(name: str, root: str | None, train_size: int | None) -> tuple[TrainingData, Part]:
    return load(name, Path(root) if root else None, train_size=train_size)


def _record(
    run: Run,
    stack: Stack,
    trained: Trained,
    dataset: Dataset,
    test: Part,
    *,
    started: float,
    seconds: float,
) -> Record:
    outputs = trained.predict(test.x)
    scores = score(trained.task, outputs, test, test_is_train=dataset.test_is_train)
    losses = trained.curves.get("train_loss", ())
    train_loss = losses[-1][1] if losses else None
    rule = no_convergence(
        finite=trained.finite,
        train_loss=train_loss,
        accuracy=scores.accuracy,
        classes=dataset.classes,
    )
    metrics = {"parameters": float(trained.parameters), **scores.metrics}
    if dataset.test_is_train and scores.accuracy is not None:
        metrics["success"] = float(scores.accuracy == 1.0 and rule is NoConvergence.NONE)
    if trained.task is Task.SEQUENCE:
        first = first_exact_step(trained.curves["val_accuracy"])
        metrics |= {} if first is None else {"first_exact_step": first}
    if trained.selected_step is not None:
        metrics["selected_step"] = float(trained.selected_step)
    curves = dict(trained.curves)
    if dataset.test_is_train:
        # Validation would be the training set once more; the number keeps its true name.
        curves = {name: points for name, points in curves.items() if not name.startswith("val_")}
    return Record(
        run=run,
        status=Status.FINISHED,
        trainer=stack.trainer,
        metrics=metrics,
        curves=curves,
        nc_rule=rule,
        nc_step=_nc_step(rule, trained),
        steps=trained.steps,
        seconds=seconds,
        started=started,
        reason=stack.reason,
        provenance=dict(trained.facts),
        logits=outputs.astype(np.float32) if run.keep_logits else None,
        images=outputs[:SAMPLES] if trained.task is Task.GENERATION else None,
    )


def _nc_step(rule: NoConvergence, trained: Trained) -> int | None:
    if rule is NoConvergence.NONE:
        return None
    return trained.nonfinite_step or trained.steps


def _failed(run: Run, stack: Stack, started: float, error: Exception) -> Record:
    fits = not is_out_of_memory(error)
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return Record(
        run=run,
        status=Status.FAILED,
        trainer=stack.trainer,
        seconds=(time.time() - started) / len(stack.runs),
        started=started,
        reason=reason if fits else does_not_fit(error),
        error="".join(traceback.format_exception(error)),
        fits=fits,
    )
