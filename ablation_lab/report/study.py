"""A study as read from the store: what tables, figures and the report work on.

In: the address of a store and a profile. Out: one `Study` per declaration, with everything computed
once.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from ablation_lab.report.cells import summarise
from ablation_lab.statistics.attribution import Attribution, attributions
from ablation_lab.statistics.comparisons import Comparison, to_baseline
from ablation_lab.statistics.factorial import Factorial, factorial
from ablation_lab.statistics.importance import importances
from ablation_lab.statistics.outcomes import Outcomes, outcomes
from ablation_lab.statistics.stats import Interval
from ablation_lab.statistics.variance import Share, shares
from ablation_lab.store.frame import declarations, load_curves, load_runs, readable
from ablation_lab.store.layers import Layers, load_layers
from ablation_lab.store.published import Published, load_published
from ablation_lab.store.samples import Samples, load_samples
from ablation_lab.study.declaration import Declaration

CURVE = ["cell", "replicate", "run_id", "step", "value", "metric"]


class UnknownStudyError(ValueError):
    """A study was asked for that the store does not declare for this profile."""


@dataclass(frozen=True)
class Study:
    """One study: its declaration, its declared runs, its cells, its mean curves, its problems."""

    declaration: Declaration
    frame: pd.DataFrame
    cells: pd.DataFrame
    curves: pd.DataFrame
    extra: pd.DataFrame
    problems: tuple[str, ...]
    experiment_id: str
    published: Published = field(default_factory=Published)
    claim_curves: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=CURVE))
    layers: Layers = field(default_factory=Layers)
    samples: Samples = field(default_factory=Samples)

    @property
    def name(self) -> str:
        """The study's name."""
        return self.declaration.study

    @cached_property
    def outcomes(self) -> dict[str, Outcomes]:
        """What the runs of every declared cell gave."""
        return outcomes(self.frame, self.declaration)

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """Every cell against the baseline."""
        return to_baseline(self.outcomes, self.declaration)

    @cached_property
    def attributions(self) -> list[Attribution]:
        """What each step, or each single change of the baseline, gains."""
        return attributions(self.outcomes, self.declaration)

    @cached_property
    def factorial(self) -> Factorial | None:
        """The runs as a complete matrix, where the study is a factorial."""
        return factorial(self.outcomes, self.declaration)

    @cached_property
    def shares(self) -> list[Share]:
        """The analysis of variance, where there is one."""
        return shares(self.factorial) if self.factorial else []

    @cached_property
    def importances(self) -> dict[str, Interval]:
        """The importance of each factor of a factorial."""
        return importances(self.factorial) if self.factorial else {}


def load(uri: str, profile: str, *, only: Collection[str] = ()) -> list[Study]:
    """The studies of a profile, sorted by name; `only` limits them.

    Raises StoreError where the store cannot be read.
    """
    with readable(uri):
        return [load_one(uri, declaration) for declaration in declared(uri, profile, only=only)]


def declared(uri: str, profile: str, *, only: Collection[str] = ()) -> list[Declaration]:
    """The declarations of a profile, limited to the names in `only` if there are any.

    Raises UnknownStudyError for a name that the store does not declare.
    """
    found = declarations(uri, profile)
    known = [declaration.study for declaration in found]
    if unknown := sorted(set(only) - set(known)):
        raise UnknownStudyError(
            f"no study {unknown[0]!r} with profile {profile!r} in {uri}; "
            f"declared with that profile: {', '.join(known) or 'none'}"
        )
    return [declaration for declaration in found if not only or declaration.study in only]


def load_one(uri: str, declaration: Declaration) -> Study:
    """Everything that the store holds on one declared study."""
    loaded = load_runs(uri, declaration)
    layers = load_layers(uri, loaded.frame)
    samples = load_samples(uri, loaded.frame)
    return Study(
        declaration=declaration,
        frame=loaded.frame,
        cells=summarise(loaded.frame, declaration),
        curves=_curves(uri, loaded.frame, declaration),
        extra=loaded.extra,
        problems=(*loaded.problems, *layers.problems, *samples.problems),
        experiment_id=loaded.experiment_id,
        published=load_published(uri, declaration),
        claim_curves=_claim_curves(uri, loaded.frame, declaration),
        layers=layers,
        samples=samples,
    )


def _claim_curves(uri: str, frame: pd.DataFrame, declaration: Declaration) -> pd.DataFrame:
    """The curves that printed curves are compared with."""
    wanted = {
        (claim.metric, cell)
        for cell, claims in declaration.claims.items()
        for claim in claims
        if claim.updates
    }
    tables = [pd.DataFrame(columns=CURVE)] if not wanted else []
    for metric in sorted({metric for metric, _ in wanted}):
        cells = [cell for name, cell in wanted if name == metric]
        points = load_curves(uri, frame[frame["cell"].isin(cells)], metric)
        tables.append(points.assign(metric=metric))
    return pd.concat(tables, ignore_index=True)


def _curves(uri: str, frame: pd.DataFrame, declaration: Declaration) -> pd.DataFrame:
    """Validation accuracy by step where the study measures accuracy, else the training loss."""
    measures_accuracy = declaration.is_share and not declaration.is_success
    for metric in ("val_accuracy", "train_loss") if measures_accuracy else ("train_loss",):
        points = load_curves(uri, frame, metric)
        if points["step"].nunique() > 1:
            return points.assign(metric=metric)
    return pd.DataFrame(columns=CURVE)
