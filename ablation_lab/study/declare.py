"""From a study to its declared runs: the grid with identities, and its description.

The declaration is what tables are left-joined on: it names every cell and every run, also those
that are excluded or were never trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ablation_lab.data import DATASETS, checksum
from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.study import declaration
from ablation_lab.study.asks import unanswered
from ablation_lab.study.budget import Tuning
from ablation_lab.study.declaration import DataSet, Declaration, DeclaredRun, Excluded
from ablation_lab.study.grid import Cell, Choices, expand
from ablation_lab.study.key import named, run_key
from ablation_lab.study.metric import ACCURACIES, METRICS, Metric
from ablation_lab.study.reading import Lines
from ablation_lab.study.record import chance
from ablation_lab.study.references import ReferenceValue
from ablation_lab.study.run import Run
from ablation_lab.study.schema import SelectionRule, Study
from ablation_lab.study.selection import common_rule, rule_of
from lightning_modules.registry import ROLES

# The words of settings that can name nothing else.
CHECKED = ("activation", "init", "reduction")


@dataclass(frozen=True)
class Declared:
    """A study under a profile: its cells, and its runs in the order in which they should train.

    Replicate 0 of every cell comes before replicate 1 of any, so that a study that is cut short
    is balanced. ``untuned`` are the cells whose nuisance factors still have their first levels.
    """

    study: Study
    profile: str
    cells: tuple[Cell, ...]
    runs: tuple[Run, ...]
    untuned: frozenset[str] = frozenset()


def declare(study: Study, profile: str, *, choices: Choices | None = None) -> Declared:
    """Enumerate the runs of ``study`` under ``profile``, with the tuned levels by cell."""
    cells = tuple(_measured(study, cell) for cell in expand(study, profile, choices=choices))
    for cell in cells:
        _check_selection(study, cell)
    _check_asks(study, profile, cells)
    keys = {
        cell.name: [
            run_key(cell.config, study.seed, replicate) for replicate in range(cell.replicates)
        ]
        for cell in cells
        if not cell.reason
    }
    runs = [
        _run(study, profile, cell, replicate, keys)
        for cell in cells
        if not cell.reason
        for replicate in range(cell.replicates)
    ]
    runs.sort(key=lambda run: run.replicate)
    return Declared(study=study, profile=profile, cells=cells, runs=tuple(runs))


def _measured(study: Study, cell: Cell) -> Cell:
    """Have the cell's runs compute the registered functions that the study measures by.

    They stand in its configuration, so that they are part of what its runs are.
    """
    named = [each.name for each in (study.metric, *study.further)]
    functions = [
        name for name in named if name in METRICS.names() and METRICS.get(name).function is not None
    ]
    if not functions or "training" not in cell.config:
        return cell
    training = {**cell.config["training"], "metrics": functions}
    return replace(cell, config={**cell.config, "training": training})


def _check_asks(study: Study, profile: str, cells: tuple[Cell, ...]) -> None:
    """Refuse a question that no cells answer; a profile may leave levels out, and so the answer."""
    if study.budget(profile).levels:
        return
    levels = {cell.name: cell.factors for cell in cells if not (cell.implicit or cell.reason)}
    lines = Lines(study.place, study.path)
    wrong = list(unanswered(study.asks, levels))
    for place, said in wrong:
        lines.add((study.name, *place), f"asks[{place[1]}]", said)
    if wrong:
        raise lines.error


def _check_selection(study: Study, cell: Cell) -> None:
    """Refuse a selection rule that a cell cannot follow; without training there is no state."""
    if "training" not in cell.config:
        if study.nuisances:
            raise ConfigurationError(
                f"{study.place}: {cell.name}: nuisance factors are tuned on validation, which only "
                f"what the lab trains has; found {study.nuisances[0].name!r}; make it scientific"
            )
        return
    training, data = cell.config["training"], cell.config["data"]["name"]
    rule, place = rule_of(training), f"{study.place}: {cell.name}"
    if study.selection is SelectionRule.EARLY_STOPPED and rule is not SelectionRule.EARLY_STOPPED:
        raise ConfigurationError(
            f"{place}: selection early_stopped needs training.patience, the number of points of "
            f"the validation curve without a better one; found none"
        )
    if not DATASETS.get(data).test_is_train:
        return
    for chooses, what in (
        (rule is not SelectionRule.LAST_EPOCH, f"selection {rule.value}"),
        (bool(study.nuisances), "tuning of nuisance factors"),
    ):
        if chooses:
            raise ConfigurationError(
                f"{place}: {what} chooses on the validation set, which for {data!r} is the test "
                f"set; expected data with a validation set of its own, or no such choice"
            )


def _run(
    study: Study, profile: str, cell: Cell, replicate: int, keys: Mapping[str, list[str]]
) -> Run:
    first = replicate * cell.ensemble_size
    members = keys[cell.member_cell][first : first + cell.ensemble_size] if cell.member_cell else []
    return Run(
        study=study.name,
        profile=profile,
        cell=cell.name,
        replicate=replicate,
        key=keys[cell.name][replicate],
        seed=study.seed,
        config=cell.config,
        factors=cell.factors,
        keep_logits=cell.has_ensembles,
        tuned=_tuned(study.budget(profile).tuning, cell),
        members=tuple(members),
        metrics=tuple(each.name for each in (study.metric, *study.further)),
    )


def _tuned(tuning: Tuning | None, cell: Cell) -> dict[str, Any]:
    """Say what was chosen and what could be spent; empty where nothing is tuned."""
    return {"chosen": dict(cell.tuned), **tuning.model_dump()} if tuning else {}


def check_names(declared: Declared) -> None:
    """Refuse a name that neither a built-in file nor a plug-in registers.

    Errors: ``ConfigurationError`` that names the study, the cell and the key.
    """
    for cell in declared.cells:
        for each in named(cell.config) if "training" in cell.config else ():
            known = ROLES[each.word].names() if each.word in CHECKED else (each.name,)
            if each.name not in known:
                raise ConfigurationError(
                    f"{declared.study.place}: {cell.name}: {each.setting}: "
                    f"unknown name {each.name!r}; {nearest(each.name, known)}"
                )


def declaration_of(declared: Declared, provenance: Mapping[str, Any]) -> Declaration:
    """Describe the declared grid for the report; nothing in it depends on results."""
    study = declared.study
    budget = study.budget(declared.profile)
    runs: dict[str, list[DeclaredRun]] = {cell.name: [] for cell in declared.cells}
    for run in declared.runs:
        runs[run.cell].append(DeclaredRun(replicate=run.replicate, key=run.key))
    included = [cell for cell in declared.cells if not cell.reason]
    return Declaration(
        study=study.name,
        profile=declared.profile,
        title=study.title,
        question=study.question,
        source=study.source,
        setup=study.setup,
        needs=budget.needs,
        metrics=(study.metric, *study.further),
        chance=_chance(study.metric, included),
        baseline=_baseline(study, included),
        baselines=_baselines(study, included),
        asks=study.asks,
        selection=common_rule(
            cell.config["training"] for cell in included if "training" in cell.config
        ),
        design=study.design,
        equivalence=study.equivalence,
        replicates=budget.replicates.at_most,
        looks=budget.replicates.looks,
        factors=(*study.factors, *study.nuisances),
        tuning=budget.tuning,
        layout=study.layout,
        references=_references(study, included),
        cells=tuple(
            declaration.Cell(
                cell=cell.name,
                factors={**cell.factors, **cell.tuned},
                runs=tuple(runs[cell.name]),
                config=dict(cell.config),
            )
            for cell in included
        ),
        excluded=tuple(
            Excluded(cell=cell.name, factors=dict(cell.factors), reason=cell.reason)
            for cell in declared.cells
            if cell.reason
        ),
        data=_data_sets(included),
        provenance=dict(provenance),
    )


def _data_sets(cells: list[Cell]) -> tuple[DataSet, ...]:
    """Describe every data set that a cell trains on."""
    names = dict.fromkeys(cell.config["data"]["name"] for cell in cells if "data" in cell.config)
    return tuple(
        DataSet(
            name=name,
            about=DATASETS.get(name).about,
            checksum=checksum(name),
            test_is_train=DATASETS.get(name).test_is_train,
        )
        for name in names
    )


def _chance(metric: Metric, cells: list[Cell]) -> float | None:
    """Return the accuracy of guessing on the study's data; None for what is no accuracy of ours.

    And where the cells' data have different numbers of classes.
    """
    if metric.name not in ACCURACIES or not all(map(_data, cells)):
        return None
    if any(not _data(cell) for cell in cells):
        return None
    chances = {chance(DATASETS.get(_data(cell)).classes) for cell in cells} or {chance(2)}
    return chances.pop() if len(chances) == 1 else None


def _baseline(study: Study, cells: list[Cell]) -> str | None:
    """Return the first declared cell that has the baseline's levels."""
    matches = (cell.name for cell in cells if _answers(cell, study.baseline))
    return next(matches, None) if study.baseline else None


def _baselines(study: Study, cells: list[Cell]) -> dict[str, str]:
    """Return cell → the one that it is compared with, where several have the baseline's levels.

    It is the one that shares the levels of the other factors that apply to both; a cell that has
    no such one, or several, is left out. Empty where the baseline is one cell, that of all.
    """
    bases = [cell for cell in cells if study.baseline and _answers(cell, study.baseline)]
    if len(bases) < 2:
        return {}
    found = {
        cell.name: [base.name for base in bases if _shares(cell, base, set(study.baseline))]
        for cell in cells
        if not cell.implicit
    }
    return {name: names[0] for name, names in found.items() if len(names) == 1}


def _shares(cell: Cell, base: Cell, apart: set[str]) -> bool:
    both = (cell.factors.keys() & base.factors.keys()) - apart
    return all(cell.factors[name] == base.factors[name] for name in both)


def _answers(cell: Cell, labels: Mapping[str, str]) -> bool:
    return not cell.implicit and labels.items() <= cell.factors.items()


def _references(study: Study, cells: list[Cell]) -> dict[str, tuple[ReferenceValue, ...]]:
    """Bind each value to the cell that has the levels, and trains on the data, that it names."""
    bound: dict[str, tuple[ReferenceValue, ...]] = {}
    for value in study.references:
        for cell in cells:
            if _answers(cell, value.cell) and value.data in ("", _data(cell)):
                bound[cell.name] = (*bound.get(cell.name, ()), value)
                break
    return bound


def _data(cell: Cell) -> str:
    """Return the name of the data that a cell uses, "" for a check that uses none."""
    name: str = cell.config.get("data", {}).get("name", "")
    return name
