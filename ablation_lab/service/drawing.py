"""What the live page says of a study, made aside: it takes statistics, plug-ins and the store.

Comes in: which study, and from which cell on. Goes out: a fragment of HTML.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

from ablation_lab.service.fold import Fold
from ablation_lab.service.rendering import rendered
from ablation_lab.service.rights import MLFLOW
from ablation_lab.service.state import GOING, OVER, State, StudyState
from ablation_lab.service.submissions import Submissions
from ablation_lab.store.pages import Link, Server

ROOT = "/api/v1"
SELDOM = 10.0  # seconds between two looks at what the store has of a study
LINES = 100  # of the log


@dataclass(frozen=True)
class Drawing:
    """What is to be drawn: a study of these submissions, of this store, from a cell on."""

    uri: str
    store: str
    study: str
    first: int = 0


@dataclass
class Stored:
    """What the store says of a study, asked once in a while and at its end."""

    since: float = -math.inf
    over: bool = False
    cost: str = ""
    links: tuple[Link, ...] = ()

    def is_old(self, *, ends: bool) -> bool:
        """Whether the store is to be asked again."""
        return time.monotonic() - self.since > SELDOM or (ends and not self.over)


def draws() -> None:
    """Import what drawing takes: statistics, which the service itself does without."""
    import_module("ablation_lab.service.view")


def drawn(asked: Drawing) -> str:
    """Return what is said of a study now. Errors: ``UnknownStudy``."""
    from ablation_lab.service.view import PAGE, view_of

    row, (_, stored) = _submissions(asked.uri).row(asked.study), _known(asked.uri, asked.study)
    state = _state(asked.uri, asked.study)
    view = view_of(state, row.text, first=asked.first)
    if stored.is_old(ends=state.state not in GOING):
        _ask(stored, asked.store, state, row.text)
    return rendered(
        "words.html.j2",
        study=state,
        view=view,
        first=asked.first,
        stored=stored,
        page=PAGE,
        api=f"{ROOT}/studies/{state.id}",
        wishes=wishes(state),
        log=state.log[-LINES:],
        most=max((len(cell.runs) for cell in state.cells), default=1),
        runner=row.host,
    )


def decided(uri: str, study: str) -> list[dict[str, Any]]:
    """Return the contrasts of a study that are decided by now."""
    from ablation_lab.service.view import view_of

    row, state = _submissions(uri).row(study), _state(uri, study)
    return [
        {
            "first": each.first.cell,
            "second": each.second.cell,
            "metric": state.metric,
            "verdict": each.verdict,
            "difference": each.difference.estimate,
            "low": each.difference.low,
            "high": each.difference.high,
            "p": each.p,
            "n": each.difference.n,
        }
        for each in view_of(state, row.text).comparisons
        if each.decided
    ]


def _state(uri: str, study: str) -> StudyState:
    """Return a study as it is known now."""
    fold, _ = _known(uri, study)
    while events := _submissions(uri).events(fold.brief.last_event, study):
        fold.take(events)
    return fold.state


def _ask(stored: Stored, store: str, state: StudyState, text: str) -> None:
    from ablation_lab.service.view import cost_so_far, view_of

    stored.since, stored.over = time.monotonic(), state.state not in GOING
    stored.cost = cost_so_far(store, state, text, view_of(state, text).comparisons)
    if stored.over:
        stored.links = links(store, MLFLOW).get(f"{state.study} ({state.profile})", ())


def links(store: str, base: str) -> dict[str, tuple[Link, ...]]:
    """Return for each study of a store its table, its charts and its compare page in MLflow."""
    from ablation_lab.store.publish import Publisher

    publisher, server = Publisher(store), Server(base)
    return {
        f"{study} ({profile})": server.study(
            experiment, publisher.cell_runs(study, profile), profile
        )
        for study, profile, experiment in publisher.views()
    }


def drawn_links(store: str) -> str:
    """Return where MLflow has the studies of a store, as a fragment."""
    return rendered("stored.html.j2", stored=links(store, MLFLOW))


def wishes(state: StudyState) -> dict[str, str]:
    """Return what may be asked of a study now: the wish, and what its button says."""
    found = {}
    if state.state in (*GOING, State.QUEUED):
        found["pause"] = "Pause"
    if state.state in (State.PAUSED, State.PAUSING):
        found["resume"] = "Resume"
    if state.state in (State.FAILED, State.CANCELLED):
        found["resume"] = "Retry failed" if state.progress.failed else "Resume"
    if state.state not in OVER:
        found["cancel"] = "Cancel"
    return found


@lru_cache(maxsize=1)
def _submissions(uri: str) -> Submissions:
    return Submissions(uri)


@lru_cache(maxsize=64)
def _known(uri: str, study: str) -> tuple[Fold, Stored]:
    return Fold(_submissions(uri).head(study)), Stored()
