"""What the store shows of a study in MLflow's own pages.

In: the address of a store and a declaration. Out: the experiment that holds one run per cell, and
those cell runs, so that the report can lead to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ablation_lab.store.frame import open_store, search_runs
from ablation_lab.study.declaration import Declaration


@dataclass(frozen=True)
class Published:
    """The experiment of a study, and the cell run of each cell that has one."""

    experiment_id: str = ""
    cell_runs: Mapping[str, str] = field(default_factory=dict)


def load_published(uri: str, declaration: Declaration) -> Published:
    """The newest cell run of every declared cell, in declared order."""
    client = open_store(uri)
    experiment = client.get_experiment_by_name(declaration.study)
    if experiment is None:
        return Published()
    wanted = f"tags.`ablation.kind` = 'cell' and tags.`ablation.profile` = '{declaration.profile}'"
    runs = list(search_runs(client, experiment.experiment_id, wanted))
    runs.sort(key=lambda run: (run.info.start_time, run.info.run_id))
    known = {run.data.tags.get("ablation.cell", ""): run.info.run_id for run in runs}
    declared = [cell.cell for cell in declaration.cells]
    return Published(experiment.experiment_id, {c: known[c] for c in declared if c in known})
