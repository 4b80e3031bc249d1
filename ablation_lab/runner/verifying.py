"""What is seen to before anything trains: data, commands, one module of every cell.

Comes in: the runs that a call wants. Goes out: which cells train alone, which families are not
repeatable; or the first thing that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

from ablation_lab.data import verify
from ablation_lab.engines.contract import Engine
from ablation_lab.engines.local import LocalEngine
from ablation_lab.errors import ConfigurationError
from ablation_lab.runner.configuration import Invocation
from ablation_lab.runner.planning import Cell, cell_of
from ablation_lab.study.record import UNLIKE, Record
from ablation_lab.study.run import Run, Stack, TrainerName
from ablation_lab.study.stacking import is_found, is_own
from ablation_lab.training.command import failed_setup
from ablation_lab.training.execute import unlike_itself
from ablation_lab.training.validate import found_alone, validate_stack


@dataclass(frozen=True)
class Looked:
    """Cells that train alone, and families that are not repeatable, each with the reason."""

    alone: Mapping[Cell, str] = field(default_factory=dict)
    unlike: Mapping[str, str] = field(default_factory=dict)

    def told(self, record: Record) -> Record:
        """Return the record of a run, which says so if its family is not repeatable."""
        family = record.run.config.get("model", {}).get("family")
        if family not in self.unlike:
            return record
        return replace(record, provenance={**record.provenance, UNLIKE: self.unlike[family]})


def verify_data(call: Invocation, runs: Iterable[Run]) -> None:
    """See that the data files of the runs that train are there and right."""
    used = {run.config["data"]["name"] for run in runs if "data" in run.config}
    for name in sorted(used):
        verify(name, call.root)


def set_up(call: Invocation, runs: Iterable[Run]) -> None:
    """Run the commands that a study wants run before its first one, each once.

    Errors: ``ConfigurationError`` for one that fails, with the last thing that it said.
    """
    commands = {run.study: run.config["command"] for run in runs if "command" in run.config}
    for study, command in commands.items():
        for arguments in command["setup"] or ():
            if said := failed_setup(arguments, command, call.conf.parent):
                shown = " ".join(arguments)
                raise ConfigurationError(f"study/{study}.yaml: run.setup: {shown!r}: {said}")


def verify_modules(stacks: Iterable[Stack], engine: Engine) -> Looked:
    """Build one module of every cell in a worker, before anything trains; say what was seen.

    An engine whose jobs wait in a queue is not asked: what is wrong is said at once.
    Errors: ``ConfigurationError`` with the first thing that is wrong.
    """
    first: dict[tuple[str, str], Stack] = {}
    for stack in stacks:
        if not stack.runs[0].trains:
            continue
        for run in stack.runs:
            first.setdefault((run.study, run.cell), replace(stack, runs=(run,)))
    with LocalEngine(workers=1) if engine.queues else nullcontext(engine) as nearby:
        for done in nearby.map(validate_stack, first.values()):
            if done.result:
                raise ConfigurationError(done.result)
        asked = list(nearby.map(found_alone, filter(_is_open, first.values())))
        unlike = _unlike(first.values(), nearby)
    said = {cell_of(done.job.runs[0]): done.error or done.result for done in asked}
    return Looked({cell: reason for cell, reason in said.items() if reason}, unlike)


def unlike_themselves(stacks: Iterable[Stack]) -> dict[str, str]:
    """Return the families of a user's own that are not repeatable, and where they differ."""
    own = [each for each in stacks if each.runs[0].trains and is_own(_family(each))]
    if not own:
        return {}
    with LocalEngine(workers=1) as engine:
        return _unlike(own, engine)


def _unlike(stacks: Iterable[Stack], engine: Engine) -> dict[str, str]:
    own: dict[str, Stack] = {}
    for each in stacks:
        if is_own(_family(each)):
            own.setdefault(_family(each), each)
    asked = engine.map(unlike_itself, own.values())
    return {_family(done.job): done.result for done in asked if done.result}


def _family(stack: Stack) -> str:
    return str(stack.runs[0].config["model"]["family"])


def _is_open(stack: Stack) -> bool:
    """Say whether only its first steps tell if a cell stacks."""
    return stack.trainer is TrainerName.STACKED and is_found(
        stack.runs[0].config["model"]["family"]
    )
