"""MLflow's own pages: the address of what the store keeps.

Comes in: the address of an MLflow server, such as that of `ablation serve`, and what is to be seen.
Goes out: links.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from ablation_lab.store.tags import Tag, having

MOST_COMPARED = 100  # the compare page takes its runs in the address, which a browser limits


@dataclass(frozen=True)
class Link:
    """Words and the address they lead to."""

    text: str
    address: str


@dataclass(frozen=True)
class Server:
    """The MLflow server at an address."""

    base_url: str

    def run(self, experiment: str, run: str) -> str:
        """The page of one run."""
        return f"{self._runs(experiment)}/{run}"

    def replicates(self, experiment: str, cell: str) -> str:
        """The table of all runs of a cell."""
        wanted = quote(having({Tag.CELL: cell}))
        return f"{self._runs(experiment)}?workflowType=machine_learning&searchFilter={wanted}"

    def study(self, experiment: str, cells: Sequence[str], profile: str) -> tuple[Link, ...]:
        """The table, the charts and the comparison of a study's cell runs; none without any."""
        if not cells:
            return ()
        table = (
            f"{self._runs(experiment)}"
            f"?workflowType=machine_learning&viewStateShareKey={quote(profile)}"
        )
        chosen = f"runs={_json(cells[:MOST_COMPARED])}&experiments={_json([experiment])}"
        return (
            Link("table", table),
            Link("charts", f"{table}&compareRunsMode=CHART"),
            Link("compare", f"{self.base_url.rstrip('/')}/#/compare-runs?{chosen}"),
        )

    def _runs(self, experiment: str) -> str:
        return f"{self.base_url.rstrip('/')}/#/experiments/{experiment}/runs"


def _json(values: Sequence[str]) -> str:
    return quote(json.dumps(list(values), separators=(",", ":")))
