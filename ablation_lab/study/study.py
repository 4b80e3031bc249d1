"""What a study is: a question, factors, budgets, claims, as frozen dataclasses. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.study.metric import Metric


class FactorRole(StrEnum):
    """What a factor is for: compared between cells, tuned for each, or held at one level."""

    SCIENTIFIC = "scientific"
    NUISANCE = "nuisance"
    FIXED = "fixed"


class SelectionRule(StrEnum):
    """Which state of a run is reported."""

    LAST_EPOCH = "last_epoch"
    BEST_ON_VALIDATION = "best_on_validation"
    EARLY_STOPPED = "early_stopped"


class Design(StrEnum):
    """How the cells hang together: all combinations, ordered steps, or one change at a time."""

    FACTORIAL = "factorial"
    LADDER = "ladder"
    ONE_AT_A_TIME = "one_at_a_time"


Where = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Level:
    """One value of a factor: its label, and the configuration keys that it sets."""

    label: str
    overrides: Mapping[str, Any]


@dataclass(frozen=True)
class Factor:
    """What varies. ``when`` restricts it to the cells where other factors have given levels."""

    name: str
    label: str
    role: FactorRole
    levels: tuple[Level, ...]
    when: Where


@dataclass(frozen=True)
class Exclusion:
    """Combinations that are declared not to run, with the reason that the report prints."""

    where: Where
    reason: str


@dataclass(frozen=True)
class Adjustment:
    """Settings that a profile changes in some cells only."""

    where: Where
    overrides: Mapping[str, Any]


# Tuning replicates are counted from here, so that none of them is a reporting one.
FIRST_TUNING_REPLICATE = 1_000_000


@dataclass(frozen=True)
class Tuning:
    """What tuning spends on every cell: trials, and replicates of each."""

    trials: int
    replicates: int


@dataclass(frozen=True)
class Budget:
    """What one profile spends on a study: replicates a cell, and changed settings.

    ``needs`` is what it cannot be trained without in any bearable time, such as "an accelerator".
    """

    replicates: int
    overrides: Mapping[str, Any]
    levels: Where
    adjustments: tuple[Adjustment, ...]
    tuning: Tuning | None = None
    needs: str = ""


class ClaimKind(StrEnum):
    """What reproducing a printed value can mean, which decides the verdicts that apply."""

    EXACT = "exact"
    CONVERGED = "converged"
    DIST = "dist"
    UNSPECIFIED = "unspecified"
    ERRATUM = "erratum"
    CITED = "cited"


@dataclass(frozen=True)
class Tolerance:
    """How far ours may be from a printed value: absolute + relative·|printed|, fixed beforehand.

    ``absolute`` has one entry, or one for each printed value.
    """

    absolute: tuple[float, ...]
    relative: float
    why: str


@dataclass(frozen=True)
class Claim:
    """A printed value, and what answers it: a study's cell and metric, or the reason why nothing.

    ``printed`` is what stands in the source; ``values`` are the numbers of it that are compared,
    none where the source prints nothing comparable. For a curve ``updates`` counts the updates at
    each of the values. ``among`` keeps all runs ("") or those that solved their task ("solved").
    """

    claim_id: str
    source: str
    kind: ClaimKind
    about: str
    printed: Any
    values: tuple[float, ...]
    updates: tuple[int, ...]
    tolerance: Tolerance | None
    study: str
    cell: Mapping[str, str]
    data: str
    metric: str
    among: str
    not_attempted: str
    note: str


@dataclass(frozen=True)
class Study:
    """One ablation: a question, factors, a budget for each profile, the claims it answers.

    ``equivalence`` is the band within which a cell counts as good as another one, in the metric's
    own unit (0.005 is half a point). ``factors`` make the cells; ``nuisances`` are tuned in each.
    ``metric`` is what cells are compared by, ``further`` ones are reported beside it.
    """

    name: str
    title: str
    question: str
    source: str
    setup: str
    metric: Metric
    selection: SelectionRule
    seed: int
    baseline: Mapping[str, str]
    layout: Mapping[str, Any]
    run: Mapping[str, Any]
    factors: tuple[Factor, ...]
    exclusions: tuple[Exclusion, ...]
    budgets: Mapping[str, Budget]
    claims: tuple[Claim, ...] = ()
    design: Design = Design.FACTORIAL
    equivalence: float | None = None
    nuisances: tuple[Factor, ...] = ()
    further: tuple[Metric, ...] = ()

    @property
    def place(self) -> str:
        """Where the declaration lies, for error messages."""
        return f"study/{self.name}.yaml"

    def budget(self, profile: str) -> Budget:
        """Return the budget of ``profile``."""
        if profile not in self.budgets:
            raise ConfigurationError(
                f"{self.place}: no profile {profile!r}; {nearest(profile, self.budgets)}"
            )
        return self.budgets[profile]
