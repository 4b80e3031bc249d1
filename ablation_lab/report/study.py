"""A study as read from the store, with one row per declared cell: what reports work on.

In: the address of a store and a profile. Out: one `Study` per declaration, with everything computed
once; its cells have the estimate with its interval, and all that qualifies it.

The estimate of a cell is over all its finished runs, as they ended; beside it stand how many of
them did not converge, and the mean of those that did (`converged_mean`), which nothing tests. A
success share is k/n over all finished runs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from math import isnan, nan
from typing import Any

import numpy as np
import pandas as pd

from ablation_lab.errors import redact
from ablation_lab.statistics.attribution import Credit, credits_of
from ablation_lab.statistics.comparisons import (
    Attribution,
    Compared,
    Comparison,
    best_cell,
    compared,
)
from ablation_lab.statistics.effects import Contrast, Share, contrasts, importances, shares
from ablation_lab.statistics.factorial import Factorial, factorial
from ablation_lab.statistics.intervals import Interval, median_interval, two_kinds
from ablation_lab.statistics.outcomes import Outcomes, bounds_of, estimate, outcomes
from ablation_lab.statistics.robustness import Survival, survivals
from ablation_lab.store.client import readable
from ablation_lab.store.declared import declarations, load_protocol
from ablation_lab.store.frame import load_curves, load_runs
from ablation_lab.store.layers import Layers, load_layers
from ablation_lab.store.pictures import Samples, load_samples
from ablation_lab.store.publish import Published, load_published
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.names import CELL_COLUMNS
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
    cells: pd.DataFrame
    curves: pd.DataFrame
    extra: pd.DataFrame
    problems: tuple[str, ...]
    experiment_id: str
    published: Published = field(default_factory=Published)
    reference_curves: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=CURVE))
    layers: Layers = field(default_factory=Layers)
    samples: Samples = field(default_factory=Samples)
    protocol: Protocol | None = None

    @property
    def name(self) -> str:
        """The study's name."""
        return self.declaration.study

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

    @property
    def contrasts(self) -> list[Comparison]:
        """The primary contrasts: those with the baseline, else those of its steps."""
        return self.comparisons or [each.comparison for each in self.attributions]

    @property
    def family(self) -> list[Comparison]:
        """Every comparison once, the primary contrasts first."""
        made = [*self.comparisons, *(each.comparison for each in self.attributions)]
        return list({(each.first.cell, each.second.cell): each for each in made}.values())

    @cached_property
    def survivals(self) -> list[Survival]:
        """What other rules say of the primary contrasts that have a verdict."""
        return survivals(self.family, self.declaration, primary=len(self.contrasts))

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
            f"no study {unknown[0]!r} with profile {profile!r} in {redact(uri)}; "
            f"declared with that profile: {', '.join(known) or 'none'}"
        )
    return [declaration for declaration in found if not only or declaration.study in only]


def load_one(uri: str, declaration: Declaration) -> Study:
    """Everything that the store holds on one declared study."""
    loaded = load_runs(uri, declaration)
    layers, samples = load_layers(uri, loaded.frame), load_samples(uri, loaded.frame)
    return Study(
        declaration=declaration,
        frame=loaded.frame,
        cells=summarise(loaded.frame, declaration),
        curves=_curves(uri, loaded.frame, declaration),
        extra=loaded.extra,
        problems=(*loaded.problems, *layers.problems, *samples.problems),
        experiment_id=loaded.experiment_id,
        published=load_published(uri, declaration),
        reference_curves=_reference_curves(uri, loaded.frame, declaration),
        layers=layers,
        samples=samples,
        protocol=load_protocol(uri, declaration.study, declaration.profile),
    )


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


def summarise(frame: pd.DataFrame, declaration: Declaration) -> pd.DataFrame:
    """Per declared cell: study, cell, the factors, and the columns of `CELL_COLUMNS`.

    Differences are to the baseline cell, p-values corrected over the study. Shares are in 0..1.
    """
    found = outcomes(frame, declaration)
    against = {made.first.cell: made for made in compared(found, declaration).to_baseline}
    best = best_cell(found, declaration)
    rows = [
        {
            "study": declaration.study,
            "cell": cell.cell,
            **cell.factors,
            **_estimates(found[cell.cell], declaration),
            **_counts(found[cell.cell]),
            "successes": found[cell.cell].successes if declaration.is_success else nan,
            **_comparison(against.get(cell.cell)),
            "best": cell.cell == best,
        }
        for cell in declaration.cells
    ]
    names = [factor.name for factor in declaration.factors]
    table = pd.DataFrame(rows, columns=["study", "cell", *names, *CELL_COLUMNS])
    levels = {
        f.name: pd.CategoricalDtype(list(f.levels), ordered=True) for f in declaration.factors
    }
    return table.astype(levels)


def _estimates(found: Outcomes, declaration: Declaration) -> dict[str, Any]:
    main, converged = estimate(found, declaration), list(found.converged.values())
    return {
        "metric": declaration.metric,
        "n": main.n,
        "estimate": main.estimate,
        "low": main.low,
        "high": main.high,
        "interval": main.method,
        "converged_mean": float(np.mean(converged)) if converged else nan,
        "kinds": "" if declaration.is_success else _kinds(found, declaration),
    }


def _kinds(found: Outcomes, declaration: Declaration) -> str:
    """What a mean hides where a cell's runs are of two kinds; empty where they are of one."""
    values = list(found.values.values())
    kinds = two_kinds(values, bounds_of(declaration.primary))
    if kinds is None:
        return ""
    lower, upper = kinds
    middle = median_interval(values)
    bounds = "" if isnan(middle.low) else f" [{100 * middle.low:.1f}, {100 * middle.high:.1f}]"
    return (
        f"runs of two kinds: {len(upper)} of {len(values)} around {100 * upper.mean():.1f} %, "
        f"{len(lower)} around {100 * lower.mean():.1f} %; median {100 * middle.estimate:.1f} %"
        f"{bounds}"
    )


def _counts(found: Outcomes) -> dict[str, Any]:
    return {
        "not_converged": found.not_converged,
        "n_declared": found.declared,
        "finished": found.finished,
        "failed": found.failed,
        "missing": found.missing,
        "skipped": found.skipped,
        "nan_rate": found.non_finite / found.finished if found.finished else nan,
        "reason": found.reason,
    }


def _comparison(made: Comparison | None) -> dict[str, Any]:
    if made is None:
        unknown = ("difference", "difference_low", "difference_high", "p", "p_equivalence")
        return {**dict.fromkeys(unknown, nan), "baseline": "", "pairs": 0, "test": "",
                "standing": ""}  # fmt: skip
    return {
        "baseline": made.second.cell,
        "pairs": made.difference.n,
        "difference": made.difference.estimate,
        "difference_low": made.difference.low,
        "difference_high": made.difference.high,
        "test": made.test,
        "p": made.p,
        "p_equivalence": made.p_equivalence,
        "standing": made.verdict,
    }
