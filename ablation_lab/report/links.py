"""Addresses in MLflow's own pages, under the server that `make serve` starts.

In: experiment and run ids. Out: links; nothing is asked of a server.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from ablation_lab.report.document import Link
from ablation_lab.store.published import Published

MOST_COMPARED = 100  # the compare page takes its runs in the address, which a browser limits


@dataclass(frozen=True)
class Server:
    """The MLflow server at an address."""

    base_url: str

    def run(self, experiment: str, run: str) -> str:
        """The page of one run."""
        return f"{self._runs(experiment)}/{run}"

    def replicates(self, experiment: str, cell: str) -> str:
        """The table of all runs of a cell."""
        wanted = quote(f"tags.`ablation.cell` = '{cell}'")
        return f"{self._runs(experiment)}?workflowType=machine_learning&searchFilter={wanted}"

    def study(self, published: Published, profile: str) -> tuple[Link, ...]:
        """The table, the charts and the comparison of a study's cells; none where none is shown."""
        if not published.cell_runs:
            return ()
        table = (
            f"{self._runs(published.experiment_id)}"
            f"?workflowType=machine_learning&viewStateShareKey={quote(profile)}"
        )
        # In the order of the cells' names, as `make serve` prints it.
        runs = [run for _, run in sorted(published.cell_runs.items())][:MOST_COMPARED]
        chosen = f"runs={_json(runs)}&experiments={_json([published.experiment_id])}"
        return (
            Link("table", table),
            Link("charts", f"{table}&compareRunsMode=CHART"),
            Link("compare", f"{self.base_url.rstrip('/')}/#/compare-runs?{chosen}"),
        )

    def _runs(self, experiment: str) -> str:
        return f"{self.base_url.rstrip('/')}/#/experiments/{experiment}/runs"


def _json(values: Sequence[str]) -> str:
    return quote(json.dumps(list(values), separators=(",", ":")))
