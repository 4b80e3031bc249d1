"""MLflow's own pages: the address of what the store keeps.

Comes in: the address of an MLflow server, such as that of `ablation serve`, and what is to be seen.
Goes out: links.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from ablation_lab.store.tags import Tag, having

# Else a page opens for traces of language models, where it has no metrics.
MODE = "workflowType=machine_learning"
MOST_COMPARED = 100  # the compare page takes its runs in the address, which a browser limits


@dataclass(frozen=True)
class Link:
    """Words and the address they lead to."""

    text: str
    address: str


@dataclass(frozen=True)
class Server:
    """The MLflow server at an address; without one, links are those of a page of its own."""

    base_url: str

    def run(self, experiment: str, run: str) -> str:
        """The page of one run."""
        return f"{self._runs(experiment)}/{run}?{MODE}"

    def having(self, experiment: str, tags: Mapping[Tag, str]) -> str:
        """The table of all runs with these tags."""
        return f"{self._runs(experiment)}?{MODE}&searchFilter={quote(having(tags))}"

    def replicates(self, experiment: str, cell: str) -> str:
        """The table of all runs of a cell."""
        return self.having(experiment, {Tag.CELL: cell})

    def table(self, experiment: str, profile: str) -> str:
        """The table of a study's cell runs, as it was saved for the profile."""
        return f"{self._runs(experiment)}?{MODE}&viewStateShareKey={quote(profile)}"

    def charts(self, experiment: str, profile: str) -> str:
        """The charts of the same runs."""
        return f"{self.table(experiment, profile)}&compareRunsMode=CHART"

    def compare(self, experiment: str, runs: Sequence[str]) -> str:
        """The page that compares runs, as many as an address has room for."""
        chosen = f"runs={_json(runs[:MOST_COMPARED])}&experiments={_json([experiment])}"
        # The runs come first: its page looks for them under the name "?runs".
        return f"{self._root}#/compare-runs?{chosen}&{MODE}"

    def study(self, experiment: str, cells: Sequence[str], profile: str) -> tuple[Link, ...]:
        """The table, the charts and the comparison of a study's cell runs; none without any."""
        if not cells:
            return ()
        return (
            Link("table", self.table(experiment, profile)),
            Link("charts", self.charts(experiment, profile)),
            Link("compare", self.compare(experiment, cells)),
        )

    def _runs(self, experiment: str) -> str:
        return f"{self._root}#/experiments/{experiment}/runs"

    @property
    def _root(self) -> str:
        return f"{self.base_url.rstrip('/')}/" if self.base_url else ""


# From a text that MLflow itself shows: at whatever address it is served.
HERE = Server("")


def _json(values: Sequence[str]) -> str:
    return quote(json.dumps(list(values), separators=(",", ":")))
