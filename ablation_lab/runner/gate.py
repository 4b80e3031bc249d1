"""`ablation gate`: whether a candidate is better than what there is, where a loop proposes many.

Comes in: two cells, each of a study, a metric, and the name of a ledger of levels. Goes out: accept
or reject, or how many more replicates it takes, as one line of JSON; both cells are trained as far
as they must be. An answer is kept with its level and p, so that it stays the same.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import count
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from ablation_lab.errors import ConfigurationError
from ablation_lab.output import say
from ablation_lab.runner.configuration import Invocation
from ablation_lab.runner.planning import find_missing, plan_runs
from ablation_lab.runner.proposal import BASELINE, Proposal, Side, Wanted, proposed
from ablation_lab.runner.session import read_store
from ablation_lab.runner.train import train
from ablation_lab.statistics.comparisons import paired
from ablation_lab.statistics.gate import Answer, Judged, fewest, judge, level_of
from ablation_lab.statistics.outcomes import Outcomes, outcomes
from ablation_lab.store.frame import load_frame

if TYPE_CHECKING:
    from ablation_lab.store.alpha import AlphaLedger, Event

STATUS = {Answer.ACCEPT: 0, Answer.REJECT: 1, Answer.MORE: 3}
ENTERED = "entered"
MORE = """\
Trains the candidate and what it is held against, look by look, until it is decided, and prints one
line of JSON. Exit status: 0 accept, 1 reject, 3 more replicates are needed than this call may train
(now.minutes, now.replicates), 2 as everywhere. All proposals of a ledger together are accepted
wrongly with a chance of at most 5 %, however many they are.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what a gate asks besides the candidate."""
    parser.epilog = MORE
    add = parser.add_argument
    add("--against", metavar="WHAT", default=BASELINE,
        help="baseline: that of the candidate's study; else STUDY or STUDY:CELL")  # fmt: skip
    add("--metric", metavar="NAME", help="what decides; without it, the study's first metric")
    add("--alpha-ledger", metavar="NAME", default="default",
        help="the proposals that share 5 %% of false accepts")  # fmt: skip


def gate(call: Invocation, asked: Wanted) -> int:
    """Answer in one line of JSON; return 0 to accept, 1 to reject, 3 where it takes more runs."""
    proposal = proposed(call, asked)
    # Only now: what is refused needs no database.
    from ablation_lab.store.alpha import AlphaLedger

    ledger = AlphaLedger(call.queue_uri, asked.ledger)
    entered = ledger.add(proposal.digest, ENTERED, partial(_entry, proposal))
    answer = _answered(ledger, proposal) or _decide(call, ledger, proposal, entered["level"])
    said = {**answer, **proposal.told, "ledger": ledger.name, **entered}
    say(json.dumps(said))
    return STATUS[Answer(answer["answer"])]


def _entry(proposal: Proposal, events: Sequence[Event]) -> dict[str, Any]:
    """Return the number and the level of a new proposal.

    Errors: ``ConfigurationError`` where its replicates cannot reach that level.
    """
    entered = [event for event in events if event.event == ENTERED]
    accepted = {event.proposal for event in events if event.event == Answer.ACCEPT}
    inherited = entered[-1].told["level"] if entered and entered[-1].proposal in accepted else 0.0
    number = len(entered) + 1
    level = level_of(number, inherited=inherited)
    if (least := fewest(level, proposal.looks)) > proposal.looks[-1]:
        raise ConfigurationError(
            f"{proposal.candidate.place}: replicates: proposal {number} of this ledger is decided "
            f"at p ≤ {level:.2g}; expected at least {least} replicates, found "
            f"{proposal.looks[-1]}; raise them, as with "
            "{at_least: 8, at_most: 32, until: decided}"
        )
    return {"proposal": number, "level": level}


def _answered(ledger: AlphaLedger, proposal: Proposal) -> Mapping[str, Any] | None:
    """Return what was answered before."""
    mine = (event for event in ledger.events() if event.proposal == proposal.digest)
    return next((event.told for event in mine if event.event != ENTERED), None)


def _decide(
    call: Invocation, ledger: AlphaLedger, proposal: Proposal, level: float
) -> Mapping[str, Any]:
    """Train look by look until one decides, or the call has to end; keep what is decided."""
    until = time.monotonic() + call.now.seconds
    for n in proposal.looks:
        _train(call, proposal, n, until)
        judged, failed = _judged(call, proposal, level)
        if judged.answer is not Answer.MORE or judged.n < n:
            break
    if judged.answer is Answer.MORE:
        # It may be the machine's fault: such an answer is not kept, and the next call tries again.
        lost = {"answer": Answer.REJECT, "reason": failed} if failed else {}
        return {**_said(judged), **lost}
    return ledger.add(proposal.digest, judged.answer, lambda _: _said(judged))


def _train(call: Invocation, proposal: Proposal, replicates: int, until: float) -> None:
    asked = proposal.asks(replicates)
    missing = find_missing(call, proposal.declared, read_store(call), asked)
    if missing.wanted:
        train(call, plan_runs(call, missing), until=until)


def _judged(call: Invocation, proposal: Proposal, level: float) -> tuple[Judged, str]:
    """Judge the pairs from the first to the first that is not there; say why that one failed."""
    mine, other = (_outcomes(call, side) for side in (proposal.candidate, proposal.against))
    there = next(r for r in count() if not {r} <= mine.values.keys() & other.values.keys())
    differences = paired([(mine.first(there), other.first(there))]).reshape(-1)
    sign = 1 if proposal.candidate.declaration.higher_is_better else -1
    judged = judge(sign * np.asarray(differences), looks=proposal.looks, level=level)
    return judged, mine.reason if there in mine.ended else ""


def _outcomes(call: Invocation, side: Side) -> Outcomes:
    frame = load_frame(call.tracking_uri, side.declaration)
    return outcomes(frame, side.declaration)[side.cell.cell]


def _said(judged: Judged) -> dict[str, Any]:
    """Return an answer as JSON has it: a number that nobody knows is null."""
    numbers = {"gain": judged.difference, "p": judged.p, "likely": judged.likely}
    finite = {name: value if isfinite(value) else None for name, value in numbers.items()}
    return {"answer": judged.answer.value, "n": judged.n, "more": judged.more, **finite}
