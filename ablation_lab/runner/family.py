"""What can be said of a model family in seconds, before a study trains it.

Comes in: the name of a family, and the studies of a project that may use it. Goes out: an answer
for each question. The family is built with the settings of the first cell that uses it, or with its
own defaults, and takes a few steps on made-up examples of the shape of that cell's data set: no
data file is read. What it changes for the whole process is put back.
"""

from __future__ import annotations

import pickle
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from ablation_lab.data import DATASETS, Dataset, Part, TrainingData
from ablation_lab.errors import ConfigurationError
from ablation_lab.study.grid import expand
from ablation_lab.study.run import Run
from ablation_lab.study.schema import Study
from ablation_lab.study.settings import resolve
from ablation_lab.study.stacking import is_own_stack, why_alone
from ablation_lab.training import single
from ablation_lab.training.lightning import lightning_trainer, plain_trainer
from ablation_lab.training.loaders import evaluation_loader, training_loader
from ablation_lab.training.own_stack import validate_own_stack
from ablation_lab.training.surroundings import restored
from ablation_lab.training.trained import predictor
from lightning_modules.registry import FAMILIES, PRODUCT
from lightning_modules.task import Task, task_of

EPOCHS, BATCHES, BATCH = 2, 2, 8
# What it is built with where no study uses it.
DEFAULTS: dict[str, Any] = {
    "data": {"name": "digits"},
    "optimizer": {"name": "sgd", "learning_rate": 0.01},
    "training": {"epochs": EPOCHS, "batch_size": BATCH},
}


@dataclass(frozen=True)
class Answer:
    """What was found: ``wrong`` says what is not in order, or is empty."""

    question: str
    found: str
    wrong: bool = False


@dataclass(frozen=True)
class Subject:
    """What is looked at: a run of the family on made-up examples."""

    run: Run
    dataset: Dataset
    data: TrainingData

    def built(self) -> pl.LightningModule:
        """Return the run's module before its first step."""
        return single.build_module(self.run, self.dataset)

    def fitted(self) -> tuple[pl.LightningModule, pl.Trainer]:
        """Return the run's module after a short fit, and what fitted it."""
        module, training, order = single.begin(self.run, self.data, self.dataset)
        trainer = plain_trainer(module, training, devices=1)
        train = training_loader(self.data.train, order, seed=0)
        trainer.fit(module, train, evaluation_loader(self.data.validation, seed=0))
        return module, trainer


def examine_family(name: str, studies: Iterable[Study]) -> Iterator[Answer]:
    """Yield an answer to each question; those that make no sense after a bad one are not asked.

    Errors: UnknownName if there is no such family.
    """
    FAMILIES.get(name)
    try:
        subject = _subject(name, studies)
    except ConfigurationError as error:
        yield Answer("settings", str(error), wrong=True)
        return
    for question, look in VITAL.items():
        answer = _asked(question, look, subject)
        yield answer
        if answer.wrong:
            return
    for question, look in FURTHER.items():
        yield _asked(question, look, subject)


def families_of(package: str) -> list[str]:
    """Return the families that a package, or a module, registers."""
    return [name for name in FAMILIES.names() if _is_of(FAMILIES.loaded(name), package)]


def _is_of(family: Any, package: str) -> bool:
    module = str(getattr(family, "__module__", ""))
    return module == package or module.startswith(f"{package}.")


def place_of(error: BaseException) -> str:
    """Return the line of a user's own where an error arose, in brackets; empty if there is none."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "site-packages" not in frame.filename
        and not any(Path(frame.filename).is_relative_to(folder) for folder in PRODUCT)
    ]
    return f" ({own[-1].filename}:{own[-1].lineno})" if own else ""


def _asked(question: str, look: Callable[[Subject], str], subject: Subject) -> Answer:
    """Ask one question; what looks raises ``Wrong``, or anything that a user's code does."""
    with restored(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Answer(question, look(subject))
        except Wrong as error:
            return Answer(question, str(error), wrong=True)
        except Exception as error:  # a module of a user's own may raise whatever it likes
            said = " ".join(f"{type(error).__name__}: {error}".split())
            return Answer(question, f"{said}{place_of(error)}", wrong=True)


class Wrong(Exception):
    """What is not in order, in one line."""


def _subject(name: str, studies: Iterable[Study]) -> Subject:
    cell, config = next(_cells(name, studies), ("", None))
    if config is None:
        config = resolve({"model": {"family": name}, **DEFAULTS}, [], "its defaults")
    dataset = DATASETS.get(config["data"]["name"])
    kept = {key: config["training"][key] for key in ("loss", "l2")}
    training = {**kept, "epochs": EPOCHS, "steps": None, "batch_size": BATCH}
    config = {**config, "training": training}
    run = Run("doctor", "", cell, 0, "", 0, config, {})
    return Subject(run, dataset, TrainingData(*(_made_up(dataset, seed) for seed in (0, 1))))


def _cells(name: str, studies: Iterable[Study]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the cells that train the family."""
    for study in studies:
        for cell in expand(study, next(iter(study.budgets))):
            if cell.config.get("model", {}).get("family") == name:
                yield f"{study.place}: {cell.name}", dict(cell.config)


def _made_up(dataset: Dataset, seed: int) -> Part:
    """Return examples of the shape of a data set's."""
    draw = np.random.default_rng(seed)
    rows = BATCHES * BATCH
    x = draw.random((rows, *dataset.shape), dtype=np.float32)
    if dataset.classes:
        return Part(x, draw.integers(max(dataset.classes, 2), size=(rows, *dataset.targets)))
    return Part(x, draw.random((rows, *dataset.targets), dtype=np.float32))


def _builds(subject: Subject) -> str:
    module = subject.built()
    if not isinstance(module, pl.LightningModule):
        raise Wrong(f"expected a LightningModule, found a {type(module).__name__}")
    total = sum(each.numel() for each in module.parameters())
    return f"{total:,} parameters, with the settings of {subject.run.cell or 'its defaults'}"


def _outputs(subject: Subject) -> str:
    module, part = subject.built(), subject.data.validation
    found = predictor(module, torch.device("cpu"))(part.x).shape
    task, rows = task_of(module), len(part.x)
    classes = (max(subject.dataset.classes, 1),)
    expected = {
        Task.CLASSIFICATION: (rows, *classes),
        Task.SEQUENCE: (*part.y.shape, *classes),
        Task.REGRESSION: part.y.shape,
    }.get(task, part.x.shape)
    if found != expected:
        raise Wrong(
            f"expected outputs {expected} of a module for {task}, found {found}; targets are "
            f"{part.y.shape}"
        )
    return f"{found} for targets {part.y.shape}"


def _repeats(subject: Subject) -> str:
    found = []
    for seed in (1, 2):
        # Whatever was drawn before in this process is none of the run's business.
        single.seed_everything(seed)
        with restored():
            module, trainer = subject.fitted()
        logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
        found.append((module.state_dict(), logged))
    (one, first), (other, second) = found
    differ = [name for name in one if not torch.equal(one[name], other[name])]
    differ += [name for name in first if not _same(first[name], second.get(name))]
    if differ:
        raise Wrong(
            f"built and trained twice from the same seed, {', '.join(differ[:3])} differ: it draws "
            "from a generator that nobody seeds, or looks at the time or the process"
        )
    return "built and trained twice, it is the same to the last bit"


def _same(one: float, other: float | None) -> bool:
    return one == other or (one != one and other != other)  # noqa: PLR0124 - two that are no number


def _keeps_epochs(subject: Subject) -> str:
    _, trainer = subject.fitted()
    batches = trainer.fit_loop.epoch_loop.total_batch_idx + 1
    if (trainer.current_epoch, batches) != (EPOCHS, EPOCHS * BATCHES):
        raise Wrong(
            f"expected {EPOCHS} epochs of {BATCHES} batches, found {trainer.current_epoch} with "
            f"{batches} in all"
        )
    return f"{EPOCHS} epochs of {BATCHES} batches"


def _leaves_nothing(subject: Subject) -> str:
    lightning_trainer()  # the lab's own filters of warnings are none of the family's doing
    filters = list(warnings.filters)
    with restored() as changed:
        subject.fitted()
    left = [f"{name}: {before} became {after}" for name, (before, after) in changed.found.items()]
    if new := [each for each in warnings.filters if each not in filters]:
        left.append(f"filters of warnings: {new[0]}")
    if left:
        raise Wrong(f"it changes what all runs of a worker share: {'; '.join(left)}")
    return "what all runs of a worker share is as it was"


def _pickles(subject: Subject) -> str:
    module = subject.built()
    other = pickle.loads(pickle.dumps(module))
    for name, value in module.state_dict().items():
        if not torch.equal(value, other.state_dict()[name]):
            raise Wrong(f"{name} comes back as another")
    return "it can be copied and sent to another process"


def _stacks(subject: Subject) -> str:
    name = subject.run.config["model"]["family"]
    obstacle = why_alone(subject.run.config)
    pair = [replace(subject.run, replicate=number) for number in (0, 1)]
    alone, stacked = (
        [single.build_module(each, subject.dataset) for each in pair] for _ in range(2)
    )
    try:
        validate_own_stack(alone, stacked, subject.dataset, name)
    except ValueError as error:
        if is_own_stack(name):
            raise Wrong(str(error)) from None
        return f"no: {obstacle or error}"
    if not obstacle:
        return "yes: replicates train as one program"
    return f"no: {obstacle}; with these settings `stacks = True` in its class would be true"


VITAL = {"builds": _builds, "outputs": _outputs}
FURTHER = {
    "repeatable": _repeats,
    "epochs": _keeps_epochs,
    "leaves nothing": _leaves_nothing,
    "pickles": _pickles,
    "stacks": _stacks,
}
