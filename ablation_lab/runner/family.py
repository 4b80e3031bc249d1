"""What can be said of a model family in seconds, before a study trains it.

Comes in: the name of a family, and the studies of a project that may use it. Goes out: an answer
for each question. The family is built with the settings of the first cell that uses it, or with its
own defaults, and takes a few steps on made-up examples of the shape of that cell's data set: no
data file is read. What it changes for the whole process is put back.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch

from ablation_lab.data import DATASETS, Dataset, Loaders, Part, TrainingData, load_loaders
from ablation_lab.errors import ConfigurationError
from ablation_lab.study.grid import expand
from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.study.schema import Study
from ablation_lab.study.settings import resolve
from ablation_lab.study.stacking import is_function, is_own_stack, why_alone
from ablation_lab.training import single
from ablation_lab.training.fault import place_of, said, traced
from ablation_lab.training.lightning import lightning_trainer, plain_trainer
from ablation_lab.training.loaders import fit_arguments
from ablation_lab.training.repeatable import made_up, repeatable
from ablation_lab.training.surroundings import restored
from ablation_lab.training.trained import predictor
from ablation_lab.training.validate import found_alone, validate_shapes
from lightning_modules.registry import FAMILIES
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
    data: TrainingData | Loaders

    @property
    def family(self) -> str:
        """The name of the family."""
        return str(self.run.config["model"]["family"])

    @property
    def stack(self) -> Stack:
        """The run as a worker is given it."""
        return Stack((self.run,), TrainerName.SINGLE, "")

    def built(self) -> pl.LightningModule:
        """Return the run's module before its first step."""
        return single.build_module(self.run, self.dataset)

    def fitted(self) -> tuple[pl.LightningModule, pl.Trainer]:
        """Return the run's module after a short fit, and what fitted it."""
        module, training = single.begin(self.run, self.dataset)
        trainer = plain_trainer(module, training, devices=1)
        trainer.fit(module, **fit_arguments(self.data, training, seed=0))
        return module, trainer


def examine_family(name: str, studies: Iterable[Study]) -> Iterator[Answer]:
    """Yield an answer to each question; those that make no sense after a bad one are not asked.

    Errors: UnknownName if there is no such family.
    """
    FAMILIES.get(name)
    if is_function(name):
        yield Answer("family", "a function, which is called in a process of its own")
        return
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


def _asked(question: str, look: Callable[[Subject], str], subject: Subject) -> Answer:
    """Ask one question; what looks raises ``Wrong``, or anything that a user's code does."""
    with restored(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Answer(question, look(subject))
        except Wrong as error:
            return Answer(question, str(error), wrong=True)
        except Exception as error:  # a module of a user's own may raise whatever it likes
            place = place_of(traced(error), (FAMILIES.get(subject.family).__module__,))
            where = f" ({place})" if place else ""
            return Answer(question, f"{said(error)}{where}", wrong=True)


class Wrong(Exception):
    """What is not in order, in one line."""


def _subject(name: str, studies: Iterable[Study]) -> Subject:
    cell, config = next(_cells(name, studies), ("", None))
    if config is None:
        config = resolve({"model": {"family": name}, **DEFAULTS}, [], "its defaults")
    dataset = DATASETS.get(config["data"]["name"])
    kept = {key: config["training"][key] for key in ("loss", "l2")}
    size = None if dataset.loaders else BATCH
    training = {**kept, "epochs": EPOCHS, "steps": None, "batch_size": size}
    config = {**config, "training": training}
    run = Run("doctor", "", cell, 0, "", 0, config, {})
    return Subject(run, dataset, _data(dataset))


def _cells(name: str, studies: Iterable[Study]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the cells that train the family."""
    for study in studies:
        for cell in expand(study, next(iter(study.budgets))):
            if cell.config.get("model", {}).get("family") == name:
                yield f"{study.place}: {cell.name}", dict(cell.config)


def _data(dataset: Dataset) -> TrainingData | Loaders:
    """Return made-up examples in the shape of a data set's, or what its own loaders give."""
    if dataset.loaders:
        return load_loaders(dataset.name)
    part = Part(*(each.numpy() for each in made_up(dataset, BATCHES * BATCH)))
    return TrainingData(part, part)


def _builds(subject: Subject) -> str:
    module = subject.built()
    if not isinstance(module, pl.LightningModule):
        raise Wrong(f"expected a LightningModule, found a {type(module).__name__}")
    total = sum(each.numel() for each in module.parameters())
    return f"{total:,} parameters, with the settings of {subject.run.cell or 'its defaults'}"


def _outputs(subject: Subject) -> str:
    module, dataset = subject.built(), subject.dataset
    if task_of(module) is Task.OWN:
        return "the module alone says what is measured"
    x, y = made_up(dataset, BATCH)
    validate_shapes(module, dataset, subject.family)
    return f"{predictor(module, x.device)(x.numpy()).shape} for targets {tuple(y.shape)}"


def _repeats(subject: Subject) -> str:
    if differ := repeatable(subject.stack):
        raise Wrong(differ)
    return "built and trained twice, it is the same to the last bit"


def _keeps_epochs(subject: Subject) -> str:
    _, trainer = subject.fitted()
    batches = trainer.fit_loop.epoch_loop.total_batch_idx + 1
    expected = trainer.num_training_batches if subject.dataset.loaders else BATCHES
    if (trainer.current_epoch, batches) != (EPOCHS, EPOCHS * expected):
        raise Wrong(
            f"expected {EPOCHS} epochs of {expected} batches, found {trainer.current_epoch} with "
            f"{batches} in all"
        )
    return f"{EPOCHS} epochs of {expected} batches"


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
    if obstacle := why_alone(subject.run.config):
        return f"no: {obstacle}"
    promised = getattr(FAMILIES.get(subject.family), "stacks", None)
    found = is_own_stack(subject.family) and found_alone(subject.stack)
    if found and promised:
        raise Wrong(f"its class says `stacks = True`, but {found}")
    return f"no: {found}" if found else "yes: replicates train as one program"


VITAL = {"builds": _builds, "outputs": _outputs}
FURTHER = {
    "repeatable": _repeats,
    "epochs": _keeps_epochs,
    "leaves nothing": _leaves_nothing,
    "pickles": _pickles,
    "stacks": _stacks,
}
