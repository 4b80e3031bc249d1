"""What is wrong with a run before it trains: settings that nobody would heed, a module that fails.

Comes in: a stack, or a module and its training settings. Goes out: one line, or ValueError.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ablation_lab.data import DATASETS, Dataset, load_loaders
from ablation_lab.study.run import Run, Stack, Training
from ablation_lab.training.fault import RAISED, does_not_fit, is_out_of_memory, is_own
from ablation_lab.training.packages import import_packages
from ablation_lab.training.scoring import OWN_NAMES, WITH_HITS, asked, measured
from lightning_modules.task import Task, compared, disagreement, task_of

if TYPE_CHECKING:
    import pytorch_lightning as pl
    from torch import Tensor

LABELLED = (Task.CLASSIFICATION, Task.SEQUENCE)
# What has an answer at a point; of a sequence or an image there is none.
ANSWERING = (Task.CLASSIFICATION, Task.REGRESSION)
# Settings of a training that only a run on one device has.
ONE_DEVICE = (
    "trainer",
    "precision",
    "drop_last",
    "points",
    "patience",
    "lr_milestones",
    "selection",
)
FEWER = "give each run one device: engine.devices_per_run=1, or on Slurm engine.gpus=1"
# Settings that a module which Lightning fits batch by batch would not heed, and what to do.
OWN_LOOP = {
    "patience": "leave it out, or set it in the module",
    "lr_milestones": "leave it out, or set it in the module",
    "selection": "leave it out, or set it in the module",
    "points": "leave it out",
    "probe": "leave it out",
}


def validate_stack(stack: Stack) -> str:
    """Build the first run's module without training it; return what is wrong with it, or ''.

    Nothing is said of what a user's own code raises: its runs will fail, and say where.
    """
    from ablation_lab.training.single import build_module

    run = stack.runs[0]
    try:
        import_packages(stack.plugins)
        dataset = DATASETS.get(run.config["data"]["name"])
        points = run.config["training"].get("predict_at") or ()
        asked(points, dataset.shape)
        if dataset.loaders:
            _validate_loaders(stack)
        validate_module(build_module(run, dataset), run, dataset, devices=stack.devices)
    except RAISED as error:
        if is_out_of_memory(error):
            return _place(run, does_not_fit(error))
        if is_own(error, stack.plugins):
            return ""
        if isinstance(error, ValueError | TypeError | KeyError | ImportError):
            return _place(run, str(error))
        raise
    return ""


def validate_module(
    module: pl.LightningModule, run: Run, dataset: Dataset, *, devices: int
) -> None:
    """Refuse settings of the training that whoever trains such a module would ignore.

    Errors: ValueError.
    """
    from ablation_lab.training.single import trains_in_memory
    from lightning_modules.families import Learner

    training, family = Training(**run.config["training"]), run.config["model"]["family"]
    if training.predict_at and task_of(module) not in ANSWERING:
        raise ValueError(f"training.predict_at: family {family!r} has no answer at a point")
    if training.keep_hits and task_of(module) not in WITH_HITS:
        raise ValueError(f"training.keep_hits: family {family!r} tells no classes apart")
    if isinstance(module, Learner):
        # A setting that the optimiser would ignore is refused here.
        module.configure_optimizers()
    if devices > 1:
        if "scheduler" in run.config:
            raise ValueError(
                f"scheduler: {run.config['scheduler']['name']!r} is for a run on one device, found "
                f"{devices}; leave it out, or {FEWER}"
            )
        size = run.config["data"]["train_size"]
        examples = min(dataset.examples, size or dataset.examples)
        validate_devices(training, examples=examples, devices=devices)
    if not dataset.loaders and task_of(module) is not Task.OWN:
        validate_shapes(module, dataset, family)
    if trains_in_memory(module, training, dataset):
        validate_metrics(run, task_of(module), dataset)
    else:
        validate_own_loop(module, training, family)
        if getattr(module, "stacks", False):
            _validate_promise(run, dataset, family)


def validate_metrics(run: Run, task: Task, dataset: Dataset) -> None:
    """Refuse to measure by what nothing measures; a module that Lightning fits may log anything.

    Errors: ValueError, with the reason.
    """
    here, other = (
        measured(task, test_is_train=whole)
        for whole in (dataset.test_is_train, not dataset.test_is_train)
    )
    for name in run.metrics:
        if name in OWN_NAMES and name not in here:
            parts = "no test part beside its training set"
            if not dataset.test_is_train:
                parts = "a test part of its own, which alone is scored"
            family = run.config["model"]["family"]
            reason = f"family {family!r} is trained for {task.value}"
            if name in other:
                reason = f"data {dataset.name!r} has {parts}"
            raise ValueError(
                f"metric {name!r}: nothing measures it, as {reason}; measured here: "
                f"{', '.join(('train_loss', *here))}"
            )


def validate_shapes(module: pl.LightningModule, dataset: Dataset, family: str) -> None:
    """Refuse a module whose outputs do not fit the targets: a loss or metric would broadcast them.

    It answers two made-up examples; what raises there is said where it trains, with its place.
    Errors: ValueError.
    """
    import torch

    x = torch.zeros(2, *dataset.shape)
    kind = torch.int64 if dataset.classes else torch.float32
    y = torch.zeros(2, *dataset.targets, dtype=kind)
    try:
        with torch.no_grad():
            outputs = getattr(module.eval(), "answer", module)(x)
    except Exception:  # whatever an own forward raises
        return
    try:
        _validate_outputs(module, outputs, x, y, dataset)
    except ValueError as error:
        raise ValueError(f"family {family!r} on data {dataset.name!r}: {error}") from None


def _validate_outputs(
    module: pl.LightningModule, outputs: Tensor, x: Tensor, y: Tensor, dataset: Dataset
) -> None:
    from lightning_modules.families import Learner

    if not hasattr(outputs, "shape"):
        raise ValueError(
            f"expected outputs that are a tensor, found a {type(outputs).__name__}; say what is "
            "measured by a method answer(x), or `task = 'own'` where the module measures itself"
        )
    task = task_of(module)
    shaped, _ = compared(task, outputs, x, y)
    if isinstance(module, Learner):
        module.objective(x, y)
    elif task is Task.REGRESSION and outputs.shape != y.shape:
        # A loss of its own may well broadcast them, which nobody would see.
        raise disagreement(outputs, "targets", y, "the same shape")
    if task in LABELLED and dataset.classes > max(shaped.shape[-1], 2):
        raise ValueError(
            f"expected {dataset.classes} logits for each label, found {shaped.shape[-1]}; "
            "let `forward` give one for each class"
        )


def found_alone(stack: Stack) -> str:
    """Return what keeps a run out of a stack whose class does not say whether it stacks, or ''."""
    import_packages(stack.plugins)
    run = stack.runs[0]
    return _why_not_together(run, DATASETS.get(run.config["data"]["name"]), promised=False)


def _validate_promise(run: Run, dataset: Dataset, family: str) -> None:
    """Refuse a class that says that it stacks, and does not."""
    if said := _why_not_together(run, dataset, promised=True):
        raise ValueError(
            f"family {family!r} says `stacks = True`, but {said}; take it out, and its runs train "
            "one by one"
        )


def _why_not_together(run: Run, dataset: Dataset, *, promised: bool) -> str:
    """Hold two replicates of a run in a stack and alone."""
    from ablation_lab.training.own_stack import why_not_together
    from ablation_lab.training.single import build_module

    pair = [replace(run, replicate=run.replicate + number) for number in (0, 1)]
    alone, stacked = ([build_module(each, dataset) for each in pair] for _ in range(2))
    if task_of(alone[0]) is Task.OWN:
        return "nothing of it is measured but what it logs"
    return why_not_together(alone, stacked, dataset, promised=promised)


def validate_devices(training: Training, *, examples: int, devices: int) -> None:
    """Refuse what several devices cannot share, or would ignore.

    Errors: ValueError.
    """
    for name, value in training.chosen.items():
        if name in ONE_DEVICE:
            raise ValueError(
                f"training.{name}: {value!r} is for a run on one device, found {devices}; leave it "
                f"out, or {FEWER}"
            )
    size = min(training.batch_size or examples, examples)
    if size % devices:
        raise ValueError(
            f"training.batch_size: {size} examples cannot be shared equally by {devices} devices; "
            f"choose a multiple of {devices}, or {FEWER}"
        )


def validate_own_loop(module: pl.LightningModule, training: Training, family: str) -> None:
    """Refuse what Lightning's own loop, batch by batch, would ignore, and what it refuses itself.

    Errors: ValueError.
    """
    from pytorch_lightning.utilities.model_helpers import is_overridden

    from ablation_lab.training.lightning import plain_trainer

    for name, advice in OWN_LOOP.items():
        if value := getattr(training, name):
            raise ValueError(
                f"training.{name}: family {family!r} trains by itself and would ignore {value!r}; "
                f"{advice}"
            )
    if hasattr(module, "pretrain"):
        raise ValueError(
            f"training.trainer: family {family!r} sees all examples before its first step, for "
            "which such a trainer has no place; leave it out"
        )
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        if is_overridden(name, module):
            raise ValueError(
                f"family {family!r} has a {name} of its own, which would be ignored; register its "
                "data as a data set, and take the method out"
            )
    try:
        if training.trainer:
            plain_trainer(module, training)
    except Exception as error:  # of whatever kind, with what it says over several lines
        said = " ".join(str(error).split())
        raise ValueError(f"training.trainer: {said}") from None


def _validate_loaders(stack: Stack) -> None:
    """Refuse what data that come batch by batch cannot be asked for."""
    from ablation_lab.training.loaders import fit_arguments

    config, root = stack.runs[0].config, stack.data_root
    section = config["data"]
    if section["train_size"] is not None:
        raise ValueError(
            "data.train_size: the data come from loaders and cannot be cut; leave it out"
        )
    if stack.devices > 1:
        raise ValueError(f"data.name: data from loaders are for a run on one device; {FEWER}")
    loaders = load_loaders(section["name"], Path(root) if root else None)
    fit_arguments(loaders, Training(**config["training"]), seed=0)


def _place(run: Run, error: str) -> str:
    return f"study/{run.study}.yaml: {run.cell}: {error}"
