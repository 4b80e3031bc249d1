"""A study as read from the store, with one row per declared cell: what reports work on.

In: the address of a store and a profile. Out: one `Study` per declaration, with everything computed
once; its cells have the estimate with its interval, and all that qualifies it.

The estimate of a cell is over all its finished runs, as they ended; beside it stand how many of
them did not converge, and the mean of those that did (`converged_mean`), which nothing tests. A
success share is k/n over all finished runs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import pandas as pd

from ablation_lab.errors import redact
from ablation_lab.report.cells import cell_rows
from ablation_lab.statistics.answers import Reply, replies
from ablation_lab.statistics.attribution import Credit, credits_of
from ablation_lab.statistics.comparisons import (
    Attribution,
    Compared,
    Comparison,
    compared,
)
from ablation_lab.statistics.effects import Contrast, Share, contrasts, importances, shares
from ablation_lab.statistics.factorial import Factorial, factorial
from ablation_lab.statistics.intervals import Interval
from ablation_lab.statistics.needed import with_what_is_needed
from ablation_lab.statistics.outcomes import Outcomes, outcomes
from ablation_lab.statistics.robustness import Survival, survivals
from ablation_lab.statistics.tasks import Tasks, tasks_of
from ablation_lab.store.client import readable
from ablation_lab.store.declared import declarations, load_protocol
from ablation_lab.store.frame import load_curves, load_runs
from ablation_lab.store.imported import load_imported
from ablation_lab.store.importing import ImportedStudy
from ablation_lab.store.items import Hits, load_hits
from ablation_lab.store.layers import Layers, load_layers
from ablation_lab.store.pictures import Samples, load_samples
from ablation_lab.store.publish import Published, load_published
from ablation_lab.store.runs import rows_digest
from ablation_lab.store.tags import replicates_of
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.protocol import Protocol

TRAINING_LOSS = "train_loss"
CURVE = ["cell", "replicate", "run_id", "step", "value", "metric"]


class UnknownStudyError(ValueError):
    """A study was asked for that the store does not declare for this profile."""


@dataclass(frozen=True)
class Study:
    """One study: its declaration, its declared runs, its cells, its mean curves, its problems."""

    declaration: Declaration
    frame: pd.DataFrame
    curves: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=CURVE))
    extra: pd.DataFrame = field(default_factory=pd.DataFrame)
    problems: tuple[str, ...] = ()
    experiment_id: str = ""
    published: Published = field(default_factory=Published)
    reference_curves: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=CURVE))
    layers: Layers = field(default_factory=Layers)
    samples: Samples = field(default_factory=Samples)
    hits: Mapping[str, Mapping[int, Hits]] = field(default_factory=dict)
    protocol: Protocol | None = None

    @property
    def name(self) -> str:
        """The study's name."""
        return self.declaration.study

    def shown_by(self, published: Published) -> Study:
        """The same study, judged as it is, and what MLflow shows of it."""
        made = replace(self)
        made.__dict__.update(self.__dict__, published=published)
        return made

    @cached_property
    def cells(self) -> pd.DataFrame:
        """What every declared cell came to."""
        return cell_rows(self.outcomes, self.comparisons, self.declaration)

    @cached_property
    def outcomes(self) -> dict[str, Outcomes]:
        """What the runs of every declared cell gave."""
        return outcomes(self.frame, self.declaration)

    @cached_property
    def compared(self) -> Compared:
        """Every comparison that the study asks for, tested as one family."""
        return compared(self.outcomes, self.declaration)

    @property
    def comparisons(self) -> list[Comparison]:
        """Every cell against the baseline."""
        return self.compared.to_baseline

    @property
    def attributions(self) -> list[Attribution]:
        """What each step, or each single change of the baseline, gains."""
        return self.compared.attributions

    @cached_property
    def tasks(self) -> Tasks | None:
        """The scores of methods over tasks, where the study has enough of both."""
        return tasks_of(self.outcomes, self.declaration)

    @property
    def contrasts(self) -> list[Comparison]:
        """The primary contrasts: those with the baseline, else those of its steps."""
        return self.comparisons or [each.comparison for each in self.attributions]

    @cached_property
    def replies(self) -> list[Reply]:
        """The answers to what the study asks, tested as one family."""
        return replies(self.outcomes, self.declaration)

    @cached_property
    def survivals(self) -> list[Survival]:
        """What other rules say of the primary contrasts that have a verdict."""
        return survivals(self.compared.every, self.declaration, primary=len(self.contrasts))

    @cached_property
    def factorial(self) -> Factorial | None:
        """The runs as a complete matrix, where the study is a factorial."""
        return factorial(self.outcomes, self.declaration)

    @cached_property
    def effects(self) -> list[Contrast]:
        """Main effects, interactions, and what each factor is credited with, tested together."""
        return contrasts(self.factorial) if self.factorial else []

    @cached_property
    def credits(self) -> list[Credit]:
        """What each factor of two levels accounts for; empty for other studies."""
        data = self.factorial
        return list(credits_of(data, self.effects, self.attributions)) if data else []

    @cached_property
    def shares(self) -> list[Share]:
        """The analysis of variance, where there is one."""
        return shares(self.factorial) if self.factorial else []

    @cached_property
    def importances(self) -> dict[str, Interval]:
        """The importance of each factor of a factorial."""
        return importances(self.factorial) if self.factorial else {}


@dataclass(frozen=True)
class Stored:
    """A study that a store declares, read when it is asked for."""

    uri: str
    declaration: Declaration

    @property
    def name(self) -> str:
        """The study's name."""
        return self.declaration.study

    @property
    def rows(self) -> str:
        """A digest of every row that the store has of it; '' where it is asked for none."""
        names = (self.name, replicates_of(self.name))
        return rows_digest(self.uri, names) if self.declaration.imported is None else ""

    def read(self) -> Study:
        """Everything that the store holds on it. Raises StoreError where that cannot be read."""
        with readable(self.uri):
            return load_one(self.uri, self.declaration)


def stored(uri: str, profile: str, *, only: Collection[str] = ()) -> list[Stored]:
    """The studies of a profile, sorted by name; `only` limits them.

    Raises StoreError where the store cannot be read.
    """
    with readable(uri):
        return [Stored(uri, each) for each in declared(uri, profile, only=only)]


def load(uri: str, profile: str, *, only: Collection[str] = ()) -> list[Study]:
    """The same studies with everything that the store holds on them."""
    return [each.read() for each in stored(uri, profile, only=only)]


def declared(uri: str, profile: str, *, only: Collection[str] = ()) -> list[Declaration]:
    """The declarations of a profile, limited to the names in `only` if there are any.

    Raises UnknownStudyError for a name that the store does not declare.
    """
    found = declarations(uri, profile)
    known = [declaration.study for declaration in found]
    if unknown := sorted(set(only) - set(known)):
        raise UnknownStudyError(
            f"no study {unknown[0]!r} with profile {profile!r} in {redact(uri)}; "
            f"declared with that profile: {', '.join(known) or 'none'}"
        )
    return [declaration for declaration in found if not only or declaration.study in only]


def load_one(uri: str, declaration: Declaration) -> Study:
    """Everything that the store holds on one declared study."""
    if declaration.imported is not None:
        found = of_imported(load_imported(uri, declaration))
        return replace(found, published=load_published(uri, declaration))
    loaded = load_runs(uri, declaration)
    loaded = replace(loaded, frame=with_what_is_needed(loaded.frame, declaration))
    layers, samples = load_layers(uri, loaded.frame), load_samples(uri, loaded.frame)
    return Study(
        declaration=declaration,
        frame=loaded.frame,
        curves=_curves(uri, loaded.frame, declaration),
        extra=loaded.extra,
        problems=(*loaded.problems, *layers.problems, *samples.problems),
        experiment_id=loaded.experiment_id,
        published=load_published(uri, declaration),
        reference_curves=_reference_curves(uri, loaded.frame, declaration),
        layers=layers,
        samples=samples,
        hits=load_hits(uri, loaded.frame, declaration),
        protocol=load_protocol(uri, declaration.study, declaration.profile),
    )


def of_imported(found: ImportedStudy) -> Study:
    """A study of runs that were trained elsewhere; the curve is of its metric, else the first."""
    declaration, points = found.declaration, found.curves
    logged = list(dict.fromkeys(points["metric"]))
    wanted = [name for name in logged if name.endswith(declaration.metric)] or logged
    curves = points[points["metric"].isin(wanted[:1])].reset_index(drop=True)
    return Study(declaration, found.frame, curves=curves, reference_curves=points)


def _reference_curves(uri: str, frame: pd.DataFrame, declaration: Declaration) -> pd.DataFrame:
    """The curves that printed curves are compared with."""
    wanted = {
        (reference.metric, cell)
        for cell, references in declaration.references.items()
        for reference in references
        if reference.updates
    }
    tables = [pd.DataFrame(columns=CURVE)] if not wanted else []
    for metric in sorted({metric for metric, _ in wanted}):
        cells = [cell for name, cell in wanted if name == metric]
        points = load_curves(uri, frame[frame["cell"].isin(cells)], metric)
        tables.append(points.assign(metric=metric))
    return pd.concat(tables, ignore_index=True)


def _curves(uri: str, frame: pd.DataFrame, declaration: Declaration) -> pd.DataFrame:
    """The validation curve of a share that runs are measured by, else the training loss."""
    wanted = [TRAINING_LOSS]
    if declaration.is_share and not declaration.is_success:
        measured = declaration.metric.removeprefix("test_").removeprefix("train_")
        logged = [measured] if measured == declaration.metric else []
        wanted = [f"val_{measured}", *logged, TRAINING_LOSS]
    for metric in wanted:
        points = load_curves(uri, frame, metric)
        if points["step"].nunique() > 1:
            return points.assign(metric=metric)
    return pd.DataFrame(columns=CURVE)
