"""A trained run as the record that it leaves: scored once, judged, described.

Comes in: what the trainer gave, and the test part. Goes out: a ``Record``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from ablation_lab.data import Dataset, Loaders, Part
from ablation_lab.study.record import NoConvergence, Record, Status, no_convergence
from ablation_lab.study.run import Run, Stack
from ablation_lab.training.fault import described, does_not_fit, is_out_of_memory, traced
from ablation_lab.training.scoring import Scores, first_exact_step, kept_hits, registered, score
from lightning_modules.task import Task, compared

if TYPE_CHECKING:
    from ablation_lab.training.trained import Trained

# Generated images that are kept: a square of them.
SAMPLES = 64


def record_of(
    run: Run,
    stack: Stack,
    trained: Trained,
    dataset: Dataset,
    test: Part | Loaders,
    *,
    started: float,
    seconds: float,
) -> Record:
    """Return the record of a run whose training took ``seconds``; here the test part is seen."""
    logged = {} if trained.logged is None else trained.logged(test)
    part = _measured(run, trained, test)
    outputs = None if part is None else trained.predict(part.x)
    scores = Scores({}, logged.get("test_accuracy"))
    functions: dict[str, float] = {}
    hits = None
    if part is not None and outputs is not None:
        outputs, targets = compared(trained.task, outputs, part.x, part.y)
        scores = score(trained.task, outputs, part, test_is_train=dataset.test_is_train)
        # Of what reproduces its examples, a metric of a user's may look at the labels.
        whole = trained.task in (Task.RECONSTRUCTION, Task.GENERATION)
        functions = registered(_functions(run), outputs, part.y if whole else targets)
        hits = kept_hits(trained.task, outputs, targets) if _keeps_hits(run) else None
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
    # What the lab measures itself keeps its value.
    metrics = {**logged, **metrics, **functions}
    if trained.task is Task.SEQUENCE:
        first = first_exact_step(trained.curves["val_accuracy"])
        metrics |= {} if first is None else {"first_exact_step": first}
    if trained.selected_step is not None:
        metrics["selected_step"] = float(trained.selected_step)
    # A name that a module logs in training and on the test set is that of the test set.
    curves = {name: points for name, points in trained.curves.items() if name not in metrics}
    if dataset.test_is_train:
        # Validation would be the training set once more; the number keeps its true name.
        curves = {name: points for name, points in curves.items() if not name.startswith("val_")}
    return Record(
        run=run,
        status=Status.FINISHED,
        trainer=stack.trainer,
        metrics=metrics,
        curves=curves,
        not_converged=rule,
        not_converged_step=_not_converged_step(rule, trained),
        steps=trained.steps,
        seconds=seconds,
        started=started,
        reason=stack.reason,
        provenance=dict(trained.facts),
        logits=outputs.astype(np.float32) if outputs is not None and run.keep_logits else None,
        hits=hits,
        images=outputs[:SAMPLES]
        if outputs is not None and trained.task is Task.GENERATION
        else None,
    )


def _functions(run: Run) -> tuple[str, ...]:
    return tuple(run.config["training"].get("metrics") or ())


def _keeps_hits(run: Run) -> bool:
    return bool(run.config["training"].get("keep_hits"))


def _measured(run: Run, trained: Trained, test: Part | Loaders) -> Part | None:
    """Return the test part as arrays; None where the module alone says what is measured."""
    wanted = _functions(run) or run.keep_logits or _keeps_hits(run)
    if trained.task is Task.OWN and not wanted:
        return None
    if isinstance(test, Part):
        return test
    assert trained.gathered is not None
    return trained.gathered(test) if wanted or trained.logged is None else None


def _not_converged_step(rule: NoConvergence, trained: Trained) -> int | None:
    if rule is NoConvergence.NONE:
        return None
    return trained.nonfinite_step or trained.steps


def failed(run: Run, stack: Stack, started: float, error: BaseException) -> Record:
    """Return the record of a run that raised, in a stack that ``started`` then."""
    fits = not is_out_of_memory(error)
    return Record(
        run=run,
        status=Status.FAILED,
        trainer=stack.trainer,
        seconds=(time.time() - started) / len(stack.runs),
        started=started,
        reason=described(error, run.config, stack.plugins) if fits else does_not_fit(error),
        error=traced(error),
        fits=fits,
    )
