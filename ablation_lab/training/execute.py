"""What a worker does with a stack: train its runs and score them once, or have them computed.

The trainers get train and validation; the test set is touched once, after the last step. Any
exception becomes a failed record with its traceback; the study goes on. To tune, a run is trained
and measured on validation: then the test set is not read in.
"""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ablation_lab.data import DATASETS, Dataset, Loaders, Part, TrainingData, load, load_loaders
from ablation_lab.study.record import Record
from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.training.computed import computed
from ablation_lab.training.fault import RAISED, trying
from ablation_lab.training.packages import import_packages
from ablation_lab.training.record import failed, record_of
from ablation_lab.training.scoring import answers
from ablation_lab.training.spent import Reading

if TYPE_CHECKING:
    from ablation_lab.training.trained import Trained


def execute(stack: Stack) -> list[Record]:
    """Return the records of the stack's runs, in order, each with its part of what they cost.

    A run that raises is a failed record.
    """
    before = Reading()
    records = _executed(stack)
    spent = before.spent(len(records))
    return [replace(each, provenance={**each.provenance, **spent}) for each in records]


def _executed(stack: Stack) -> list[Record]:
    """Train them; of cells that share a stack, one that raises leaves the others to train alone."""
    if not stack.runs[0].trains:
        return [computed(run, stack) for run in stack.runs]
    started = time.time()
    try:
        import_packages(stack.plugins)
        from ablation_lab.training.surroundings import restored

        with restored():
            return _records(stack, started)
    except RAISED as error:  # a run that raises is a result of its own
        parts = by_cell(stack)
        if len(parts) == 1:
            return [failed(run, stack, started, error) for run in stack.runs]
    # Outside the except clause, whose traceback would keep the tensors alive.
    records = {record.run.key: record for part in parts for record in _executed(part)}
    return [records[run.key] for run in stack.runs]


def by_cell(stack: Stack) -> list[Stack]:
    """Return the stack cut into one for each cell."""
    cells: dict[tuple[str, str], list[Run]] = {}
    for run in stack.runs:
        cells.setdefault((run.study, run.cell), []).append(run)
    return [replace(stack, runs=tuple(runs)) for runs in cells.values()]


def unlike_itself(stack: Stack) -> str:
    """Return where the stack's first run differs from itself done again, '' if nowhere.

    Nothing is said of what a user's own code raises: its runs will fail, and say where.
    """
    from ablation_lab.training.repeatable import repeatable

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return repeatable(stack)
    except RAISED:
        return ""


def validation_score(stack: Stack) -> float:
    """Train the stack's run; return its validation accuracy, or loss or distance by its task.

    The value is that of the validation curve in the selected state; NaN where a loss or parameter
    did not stay finite. No test set is read in.
    """
    from ablation_lab.training import single
    from ablation_lab.training.surroundings import restored
    from lightning_modules.losses import MEASURES

    import_packages(stack.plugins)
    (run,) = stack.runs
    data = _loaders(stack) or _training_data(*_source(stack))
    with restored():
        trained = single.train(run, data, DATASETS.get(run.config["data"]["name"]))
    name, _ = MEASURES.get(trained.task, ("val_accuracy", None))
    curve = trained.curves.get(name)
    if not curve:
        raise ValueError(f"to tune needs a curve {name!r}: log it in the validation_step")
    if not trained.finite:
        return math.nan
    return dict(curve)[trained.selected_step or curve[-1][0]]


def _records(stack: Stack, started: float) -> list[Record]:
    section = stack.runs[0].config["data"]
    dataset = DATASETS.get(section["name"])
    with trying(f"reading data {section['name']!r}"):
        loaders = _loaders(stack)
        data, test = (loaders, loaders) if loaders else _load(*_source(stack))
    with trying("training it"):
        trained = _train(stack, data, dataset)
    seconds = (time.time() - started) / len(trained)
    return [
        _scored(run, stack, result, dataset, test, started=started, seconds=seconds)
        for run, result in zip(stack.runs, trained, strict=True)
    ]


def _scored(
    run: Run,
    stack: Stack,
    trained: Trained,
    dataset: Dataset,
    test: Part | Loaders,
    *,
    started: float,
    seconds: float,
) -> Record:
    """Return the record of a run; one whose outputs some function cannot score fails by itself."""
    from ablation_lab.training.probe import with_probed

    points = run.config["training"].get("predict_at")
    try:
        with trying("scoring it"):
            record = record_of(run, stack, trained, dataset, test, started=started, seconds=seconds)
            asked = answers(trained, points, dataset.shape) if points else {}
    except RAISED as error:  # a run that raises is a result of its own
        return failed(run, replace(stack, runs=(run,)), started, error)
    record = replace(record, metrics={**record.metrics, **asked})
    return with_probed(record, trained.probed) if trained.probed else record


def _train(stack: Stack, data: TrainingData | Loaders, dataset: Dataset) -> list[Trained]:
    """Return what became of each run."""
    # Imported here so that a runner that only plans never waits for torch.
    from ablation_lab.training import distributed, single, stacked
    from ablation_lab.training.computing import let_every_shape_compile, precision
    from ablation_lab.training.in_memory import Watch
    from ablation_lab.training.probe import Probe

    run = stack.runs[0]
    watching = Probe if run.probed else Watch
    with precision(run.config["training"].get("precision")):
        match stack.trainer:
            case _ if isinstance(data, Loaders):
                return [single.train(run, data, dataset)]
            case TrainerName.STACKED:
                let_every_shape_compile()
                return stacked.train(list(stack.runs), data, dataset, watching)
            case _ if stack.devices > 1:
                return [distributed.train(run, data, dataset, devices=stack.devices)]
            case _:
                return [single.train(run, data, dataset, watching())]


def _source(stack: Stack) -> tuple[str, str | None, int | None]:
    section = stack.runs[0].config["data"]
    return section["name"], stack.data_root, section["train_size"]


def _loaders(stack: Stack) -> Loaders | None:
    """Return the loaders of a data set that brings them, made anew for each run."""
    name, root, _ = _source(stack)
    return load_loaders(name, Path(root) if root else None) if DATASETS.get(name).loaders else None


@lru_cache(maxsize=2)
def _load(name: str, root: str | None, train_size: int | None) -> tuple[TrainingData, Part]:
    return load(name, Path(root) if root else None, train_size=train_size)


@lru_cache(maxsize=2)
def _training_data(name: str, root: str | None, train_size: int | None) -> TrainingData:
    training, _ = load(name, Path(root) if root else None, train_size=train_size)
    return training
