"""The trained runs of one study that a store keeps, whatever code trained them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ablation_lab.store.store import Store
from ablation_lab.study.record import Curve


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
        self._store = Store(uri, None)
        self._client = self._store.client

    def finished(self, study: str) -> Iterator[Trained]:
        """Yield every finished run of a study, the earliest first."""
        for run in self._store.search(f"{study}.replicates", "attributes.status = 'FINISHED'"):
            tags = run.data.tags
            if "ablation.config" in tags:
                provenance = json.loads(tags["ablation.provenance"])
                yield Trained(
                    run_id=run.info.run_id,
                    key=tags["ablation.key"],
                    config=json.loads(tags["ablation.config"]),
                    replicate=int(tags["ablation.replicate"]),
                    members=tuple(provenance.get("members", "").split()),
                )

    def curve(self, run_id: str, name: str) -> Curve:
        """Return the stored points (step, value) of one curve."""
        points = self._client.get_metric_history(run_id, name)
        return tuple((int(point.step), float(point.value)) for point in points)

    def rename(self, run_id: str, *, key: str, before: str) -> None:
        """Give a run the key under which today's code looks for it; the old one stays beside it."""
        self._client.set_tag(run_id, "ablation.adopted_from", before)
        self._client.set_tag(run_id, "ablation.key", key)
