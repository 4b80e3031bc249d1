"""A study as read from the store, with one row per declared cell: what reports work on.

In: the address of a store and a profile. Out: one `Study` per declaration, with everything computed
once; its cells have the estimate with its interval, and all that qualifies it.

The headline estimate of an accuracy is the mean over converged runs (`n` counts them); beside it
stand the runs that did not converge (`not_converged`) and the mean over all runs with those at
chance (`all_runs`). Where no run converged the headline is the all-runs value and has no interval.
A success share is k/n over all finished runs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from math import nan
from typing import Any

import numpy as np
import pandas as pd

from ablation_lab.errors import redact
from ablation_lab.statistics.comparisons import Attribution, Comparison, attributions, to_baseline
from ablation_lab.statistics.effects import Share, importances, shares
from ablation_lab.statistics.factorial import Factorial, factorial
from ablation_lab.statistics.intervals import LEVEL_OF_TESTS, Interval, holm, mean_interval, wilson
from ablation_lab.statistics.outcomes import Outcomes, difference, outcomes
from ablation_lab.store.client import readable
from ablation_lab.store.declared import declarations, load_protocol
from ablation_lab.store.frame import load_curves, load_runs
from ablation_lab.store.layers import Layers, load_layers
from ablation_lab.store.pictures import Samples, load_samples
from ablation_lab.store.publish import Published, load_published
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


COLUMNS = (
    "metric", "n", "estimate", "low", "high", "interval", "not_converged", "n_declared", "finished",
    "failed", "missing", "skipped", "successes", "nan_rate", "converged_mean", "all_runs",
    "baseline", "pairs", "difference", "difference_low", "difference_high", "test", "p", "p_holm",
    "minimum_p", "p_equivalence", "standing", "best", "reason",
)  # fmt: skip


def summarise(frame: pd.DataFrame, declaration: Declaration) -> pd.DataFrame:
    """Per declared cell: study, cell, the factors, and the columns of `COLUMNS`.

    Differences are to the baseline cell, p-values Holm-corrected over the table. Shares are in
    0..1.
    """
    found = outcomes(frame, declaration)
    compared = {made.first.cell: made for made in to_baseline(found, declaration)}
    best = best_cell(found, declaration)
    rows = [
        {
            "study": declaration.study,
            "cell": cell.cell,
            **cell.factors,
            **_estimates(found[cell.cell], declaration),
            **_counts(found[cell.cell]),
            "successes": found[cell.cell].successes if declaration.is_success else nan,
            **_comparison(compared.get(cell.cell)),
            "best": cell.cell == best,
        }
        for cell in declaration.cells
    ]
    names = [factor.name for factor in declaration.factors]
    table = pd.DataFrame(rows, columns=["study", "cell", *names, *COLUMNS])
    for factor in declaration.factors:
        table[factor.name] = pd.Categorical(
            table[factor.name], categories=list(factor.levels), ordered=True
        )
    return table


def headline(found: Outcomes, declaration: Declaration) -> Interval:
    """The estimate of a cell with its interval."""
    if declaration.is_success:
        return wilson(found.successes, found.counted)
    if found.converged or not found.not_converged:
        return mean_interval(list(found.converged.values()))
    value = _all_runs(found, declaration)
    return Interval(value, nan, nan, found.finished, "none (no run converged)")


def best_cell(found: dict[str, Outcomes], declaration: Declaration) -> str | None:
    """The best cell, if a test supports it against the runner-up; None otherwise.

    The best cell is compared with every other one and the p-values are Holm-corrected, since
    choosing the best is itself a look at all of them.
    """
    sign = -1 if declaration.higher_is_better else 1
    estimates = {name: headline(o, declaration).estimate for name, o in found.items()}
    ranked = sorted(
        (name for name, value in estimates.items() if np.isfinite(value)),
        key=lambda name: sign * estimates[name],
    )
    if len(ranked) < 2 or estimates[ranked[0]] == estimates[ranked[1]]:
        return None
    best, *others = ranked
    success = declaration.is_success
    raw = [difference(found[best], found[other], success=success).p for other in others]
    runner_up = holm(raw)[0]
    return best if runner_up <= LEVEL_OF_TESTS else None


def _estimates(found: Outcomes, declaration: Declaration) -> dict[str, Any]:
    main = headline(found, declaration)
    converged = list(found.converged.values())
    return {
        "metric": declaration.metric,
        "n": main.n,
        "estimate": main.estimate,
        "low": main.low,
        "high": main.high,
        "interval": main.method,
        "converged_mean": float(np.mean(converged)) if converged else nan,
        "all_runs": _all_runs(found, declaration),
    }


def _all_runs(found: Outcomes, declaration: Declaration) -> float:
    """Mean over all finished runs; those that did not converge count at chance if it is known."""
    if declaration.is_success:
        return found.successes / found.counted if found.counted else nan
    if declaration.chance is None:
        return float(np.mean(found.every)) if found.every else nan
    values = [*found.converged.values(), *[declaration.chance] * found.not_converged]
    return float(np.mean(values)) if values else nan


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


def _comparison(compared: Comparison | None) -> dict[str, Any]:
    if compared is None:
        unknown = ("difference", "difference_low", "difference_high", "p", "p_holm", "minimum_p",
                   "p_equivalence")  # fmt: skip
        return {**dict.fromkeys(unknown, nan), "baseline": "", "pairs": 0, "test": "",
                "standing": ""}  # fmt: skip
    made = compared.difference
    return {
        "baseline": compared.second.cell,
        "pairs": made.interval.n,
        "difference": made.interval.estimate,
        "difference_low": made.interval.low,
        "difference_high": made.interval.high,
        "test": made.test,
        "p": made.p,
        "p_holm": compared.p_holm,
        "minimum_p": made.minimum_p,
        "p_equivalence": compared.p_equivalence,
        "standing": compared.standing.value,
    }
