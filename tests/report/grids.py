"""Declarations and frames of small studies with known values, for tests of statistics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablation_lab.report.study import Study
from ablation_lab.study.declaration import Declaration, parse
from tests.report.golden_store import cell_name, declaration, grid

AB = {"a": ["1", "2", "3"], "b": ["x", "y"]}
ABC = {"a": ["1", "2"], "b": ["x", "y", "z"], "c": ["p", "q"]}


def with_cells(study: Study, cells: pd.DataFrame) -> Study:
    """The study as if its cells had come to this."""
    made = replace(study)
    made.__dict__["cells"] = cells
    return made


def declared(
    factors: dict[str, list[str]], replicates: int, *, without: tuple[str, ...] = (), **changes: Any
) -> Declaration:
    """The full grid of the factors, less the cells named in `without`."""
    cells = [cell for cell in grid(factors) if cell["cell"] not in without]
    made = declaration(
        "toy", "quick", factors=factors, cells=cells, replicates=replicates,
        **{"metric": "test_accuracy", "chance": None, **changes},
    )  # fmt: skip
    return parse(json.dumps(made), "here")


def frame(
    study: Declaration, values: Mapping[str, NDArray[np.float64] | list[float]],
    not_converged: Mapping[str, set[int]] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Finished runs with the values of each cell; `not_converged` names replicates."""
    lost = not_converged or {}
    rows = [
        {
            "study": study.study, "cell": cell, "replicate": r, "run_id": f"{cell}{r}",
            "status": "finished", study.metric: float(value), "reason": "",
            "not_converged": "loss_at_chance" if r in lost.get(cell, set()) else "",
            "not_converged_recorded": "loss_at_chance" if r in lost.get(cell, set()) else "",
        }
        for cell, each in values.items() for r, value in enumerate(each)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def drawn(
    factors: dict[str, list[str]], replicates: int, *, seed: int, noise: float = 1.0
) -> dict[str, NDArray[np.float64]]:
    """Values of every cell: an effect of each factor, an interaction, a shared seed, and noise."""
    rng = np.random.default_rng(seed)
    names = list(factors)
    shared = rng.normal(size=replicates)
    made = {}
    for levels in product(*(range(len(factors[name])) for name in names)):
        label = {name: factors[name][i] for name, i in zip(names, levels, strict=True)}
        middle = sum((k + 1) * i for k, i in enumerate(levels)) + 1.5 * levels[0] * levels[1]
        made[cell_name(label)] = middle + shared + noise * rng.normal(size=replicates)
    return made
