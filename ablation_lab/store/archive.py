"""The trained runs of one study that a store keeps, whatever code trained them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ablation_lab.store.client import open_client
from ablation_lab.store.runs import points_of, runs_of
from ablation_lab.store.tags import Tag, replicates_of
from ablation_lab.study.former import of_today
from ablation_lab.study.record import Curve

WHAT_IT_WAS = (Tag.KEY, Tag.STATUS, Tag.CONFIG, Tag.PROVENANCE, Tag.REPLICATE)


@dataclass(frozen=True)
class Trained:
    """A finished run as stored: what it was, under which key, and the keys of what it combines."""

    run_id: str
    key: str
    config: dict[str, Any]
    replicate: int
    members: tuple[str, ...]


class Archive:
    """Finds finished runs by what they are, and gives them another key."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._client = open_client(uri)

    def finished(self, study: str) -> Iterator[Trained]:
        """Yield every finished run of a study, the earliest first."""
        experiment = replicates_of(study)
        runs = runs_of(self._uri, [experiment], tags=WHAT_IT_WAS, metrics=False)[experiment]
        for run in sorted(runs, key=lambda run: (run.start_time, run.run_id)):
            if run.is_finished and Tag.CONFIG in run.tags:
                provenance = json.loads(run.tags[Tag.PROVENANCE])
                yield Trained(
                    run_id=run.run_id,
                    key=run.key,
                    config=of_today(json.loads(run.tags[Tag.CONFIG])),
                    replicate=int(run.tags[Tag.REPLICATE]),
                    members=tuple(provenance.get("members", "").split()),
                )

    def curve(self, run_id: str, name: str) -> Curve:
        """Return the stored points (step, value) of one curve."""
        return tuple((step, value) for _, step, value in points_of(self._uri, [run_id], name))

    def rename(self, run_id: str, *, key: str, before: str) -> None:
        """Give a run the key under which today's code looks for it; the old one stays beside it."""
        self._client.set_tag(run_id, Tag.KEY_BEFORE, before)
        self._client.set_tag(run_id, Tag.KEY, key)
