"""Simulations of studies that run until decided, for `python -m tests.statistics.simulations`.

`sequential N` prints how often N studies without any effect decide something, how many runs are
saved where there are effects, and both on the runs of the committed store; `adastop N` holds the
looks against AdaStop (Mathieu et al., 2023), which compares by permutations of whole runs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ablation_lab.runner.composition import compose
from ablation_lab.runner.configuration import read
from ablation_lab.statistics.comparisons import Compared, Comparison, compared
from ablation_lab.statistics.contrasts import asked
from ablation_lab.statistics.intervals import Floats
from ablation_lab.statistics.outcomes import Outcomes, outcomes
from ablation_lab.store.frame import load_frame
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.declare import declaration_of, declare
from ablation_lab.study.project import open_project
from experiments.unpack import unpack
from tests.report.grids import declared

LOOKS = (8, 12, 16, 24, 32)
PROFILE = "paper"  # of the committed store
FEWEST = 5  # runs of a cell that is drawn from
EFFECTS = (0.0, 0.8, 1.2, 2.0)  # of one pair, in standard deviations of its difference
Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]


def study(comparisons: int, looks: Sequence[int] = LOOKS) -> Declaration:
    """A study of so many cells against a baseline."""
    levels = [str(index) for index in range(comparisons + 1)]
    return declared({"a": levels}, LOOKS[-1], baseline="a=0", looks=list(looks))


def said_of(values: Floats, made: Declaration) -> Compared:
    """What is said of runs (R, cells) that all finished."""
    cells = {cell.cell: values[:, k] for k, cell in enumerate(made.cells)}
    return compared({name: _outcomes(name, of) for name, of in cells.items()}, made)


def _outcomes(cell: str, values: Floats) -> Outcomes:
    n = len(values)
    return Outcomes(
        cell=cell, values=dict(enumerate(values.tolist())), unconverged=(),
        ended=frozenset(range(n)), declared=n, finished=n, failed=0, missing=0, skipped=0,
        non_finite=0, reason="",
    )  # fmt: skip


def false_looks(draw: Draw, comparisons: int, *, studies: int) -> float:
    """The share of studies without any effect in which a look decides that there is one."""
    rng, made = np.random.default_rng(comparisons), study(comparisons)
    shape = LOOKS[-1], comparisons + 1
    return float(
        np.mean([any(map(_decided, said_of(draw(rng, shape), made).every)) for _ in range(studies)])
    )


def _decided(made: Comparison) -> bool:
    return made.decided


@dataclass(frozen=True)
class Saved:
    """Of several tables: runs of a fixed number and of looks, and verdicts that are the same."""

    fixed: int
    used: int
    verdicts: int
    same: int

    @property
    def line(self) -> str:
        """Shares in percent."""
        runs, same = 100 * (1 - self.used / self.fixed), 100 * self.same / self.verdicts
        return f"{self.verdicts} | {same:.1f} | {runs:.1f}"


def saved(tables: Sequence[tuple[Floats, Declaration]]) -> Saved:
    """Hold looks against as many runs of every cell as the last of them has."""
    fixed = used = verdicts = same = 0
    for values, made in tables:
        once = said_of(values, made.model_copy(update={"looks": ()}))
        looked = said_of(values, made)
        fixed, used = fixed + values.size, used + sum(looked.asked.values())
        pairs = zip(once.every, looked.every, strict=True)
        same += sum(a.standing is b.standing for a, b in pairs)
        verdicts += len(once.every)
    return Saved(fixed, used, verdicts, same)


def committed() -> Iterator[tuple[Declaration, dict[str, Floats]]]:
    """Yield every committed study that compares, with the runs of its cells."""
    project = open_project(Path())
    with tempfile.TemporaryDirectory() as folder:
        names = unpack(PROFILE, unpacked=Path(folder))
        uri = f"sqlite:///{folder}/results-{PROFILE}/mlflow.db"
        words = [f"study=[{','.join(names)}]", f"profile={PROFILE}"]
        for each in read(compose(project, words), project).studies:
            made = declaration_of(declare(each, PROFILE), {})
            found = outcomes(load_frame(uri, made), made)
            runs = {name: np.array(list(of.values.values())) for name, of in found.items()}
            if asked(made) and min(map(len, runs.values())) >= FEWEST:
                yield made.model_copy(update={"looks": LOOKS, "replicates": LOOKS[-1]}), runs


def drawn(runs: dict[str, Floats], rng: np.random.Generator, *, null: bool) -> Floats:
    """As many runs of every cell as the last look has; of one cell for no effect."""
    one = runs[str(rng.choice(sorted(runs)))]
    return np.column_stack([rng.choice(one if null else of, LOOKS[-1]) for of in runs.values()])


def table_of_looks(kinds: dict[str, Draw], studies: int) -> Iterator[str]:
    """Yield false positives of drawn runs, then what the committed store gives."""
    yield "| runs | comparisons | false positives |"
    yield "| --- | --- | --- |"
    for kind, draw in kinds.items():
        for comparisons in (1, 5):
            found = false_looks(draw, comparisons, studies=studies)
            yield f"| {kind} | {comparisons} | {100 * found:.1f} |"
    yield from table_of_committed(max(1, studies // 40))


def table_of_committed(tables: int) -> Iterator[str]:
    """Yield of every committed study false positives, verdicts that are the same, runs saved."""
    yield ""
    yield "| study | comparisons | false positives | verdicts | the same | runs saved |"
    yield "| --- " * 6 + "|"
    rng, wrong, whole = np.random.default_rng(0), [], []
    for made, runs in committed():
        nulls = [said_of(drawn(runs, rng, null=True), made).every for _ in range(tables)]
        found = [any(map(_decided_better, every)) for every in nulls]
        real = [(drawn(runs, rng, null=False), made) for _ in range(tables)]
        wrong, whole = wrong + found, [*whole, saved(real)]
        share = f"{100 * np.mean(found):.1f}"
        yield f"| {made.study} | {len(asked(made))} | {share} | {whole[-1].line} |"
    total = Saved(*(sum(getattr(each, name) for each in whole) for name in Saved.__annotations__))
    yield f"| all | | {100 * np.mean(wrong):.1f} | {total.line} |"


def _decided_better(made: Comparison) -> bool:
    """Whether a difference is claimed; equal cells may be called equivalent."""
    return made.decided and made.standing != "equivalent"


def table_of_rivals(studies: int) -> Iterator[str]:
    """Yield for effects of one pair how often each finds it, and after how many runs of a cell."""
    yield "| difference | looks find | after | AdaStop finds | after |"
    yield "| --- " * 5 + "|"
    for effect in EFFECTS:
        rng = np.random.default_rng(3)
        ours, theirs = [], []
        for seed in range(studies):
            values = rng.normal(size=(LOOKS[-1], 2)) / np.sqrt(2) + np.array([0.0, effect])
            (one,) = said_of(values, study(1)).every
            ours.append((one.decided, one.asked))
            theirs.append(adastop(values, seed=seed))
        shown = (
            f"{100 * np.mean([f for f, _ in found]):.1f} % | {np.mean([n for _, n in found]):.1f}"
            for found in (ours, theirs)
        )
        yield f"| {effect} | {' | '.join(shown)} |"


def adastop(values: Floats, *, seed: int) -> tuple[bool, int]:
    """Whether AdaStop finds a difference of two agents at 5 %, and with how many runs of each."""
    from adastop import MultipleAgentsComparator

    step = LOOKS[0]
    made = MultipleAgentsComparator(n=step, K=LOOKS[-1] // step, B=2000, alpha=0.05, seed=seed)
    for k in range(made.K):
        made.partial_compare({f"{i}": values[: (k + 1) * step, i] for i in range(2)}, verbose=False)
        if made.is_finished:
            break
    return set(made.decisions.values()) != {"equal"}, (k + 1) * step
