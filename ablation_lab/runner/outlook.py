"""What ``ablation plan`` says of each study: how much, how long, how trained, what it can decide.

Comes in: a plan. Goes out: lines. Nothing is started, asked or written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import TYPE_CHECKING

from ablation_lab.data import DATASETS
from ablation_lab.runner.configuration import Invocation
from ablation_lab.runner.nuisances import tuning_lines
from ablation_lab.runner.planning import Planned, count, duration, groups
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.declare import Declared, declaration_of
from ablation_lab.study.networks import SIZES, inputs
from ablation_lab.study.run import Run, Stack
from ablation_lab.training.cost import memory_of_run
from ablation_lab.training.plan import estimated, limit_of

if TYPE_CHECKING:
    from ablation_lab.statistics.sequential import Looks

# Of a worker before its first run: Python, torch and Lightning, measured on Linux.
LIBRARIES = 0.4e9
SHOWN = 3  # groups of equal cells, and cells of each, that are named


def outlook_lines(call: Invocation, planned: Planned) -> Iterator[str]:
    """Yield a line for each study, and below it what is to know of it."""
    for entry in planned.missing.declared:
        name = entry.study.name
        stacks = [stack for stack in planned.stacks if stack.runs[0].study == name]
        yield _line(planned, entry, stacks, call)
        yield from (f"  {line}" for line in tuning_lines(call, entry))
        yield from (f"  {line}" for line in _ways(stacks))
        yield from (f"  {line}" for line in _limits(stacks, call))
        combined = [run for run in planned.combined if run.study == name]
        if combined:
            yield f"  {len(combined)} × combined: from what other runs predict, without training"
        yield from (f"  {line}" for line in _decides(declaration_of(entry, {})))
        yield from (f"  {line}" for line in _equal(entry.runs))
    if planned.stacks and call.engine.unknown:
        yield f"planned {call.engine.unknown}"


def peak_memory(stack: Stack) -> float | None:
    """Return about how many bytes a worker holds while it trains a stack; None if nobody knows.

    The numbers of every run at once, and the data set; a module of a user's own has any size.
    """
    config = stack.runs[0].config
    if not stack.runs[0].trains or config["model"]["family"] not in SIZES:
        return None
    data = 4 * DATASETS.get(config["data"]["name"]).examples * inputs(config)
    return LIBRARIES + data + len(stack.runs) * memory_of_run(config)


def _line(planned: Planned, entry: Declared, stacks: list[Stack], call: Invocation) -> str:
    name, missing = entry.study.name, planned.missing
    cells = sum(not cell.reason for cell in entry.cells)
    asked, every, wanted = (
        sum(run.study == name for run in runs)
        for runs in (missing.asked, missing.every, missing.wanted)
    )
    line = f"{name}: {count(cells, 'cell')}, {count(asked, 'run')}, "
    line += f"{asked - every} done, {wanted} to do"
    if not stacks:
        return line
    seconds = sum(estimated(stack, call.engine.accelerators) for stack in stacks)
    known = [bytes_ for stack in stacks if (bytes_ := peak_memory(stack)) is not None]
    memory = f", up to {max(known) / 1e9:.1f} GB in a worker" if known else ""
    return f"{line}: {duration(seconds, planned.workers)}{memory}"


def _ways(stacks: list[Stack]) -> list[str]:
    """Return one line for each way in which runs are trained, and why."""
    alike = groups(stacks, lambda stack: (stack.trainer.value, len(stack.runs), stack.reason))
    return [
        f"{len(of_one)} × {trainer}, {count(size, 'run')} each: {reason}"
        for (trainer, size, reason), of_one in alike.items()
    ]


def _limits(stacks: list[Stack], call: Invocation) -> Iterator[str]:
    """Yield after how long, and at how much memory, a worker is ended that trains a stack."""
    found = [limit_of(each, call.engine.accelerators) for each in stacks if each.runs[0].trains]
    if not found:
        return
    seconds, most = max(each.seconds for each in found), max(each.bytes for each in found)
    memory = f", or holds {most / 1e9:g} GB" if most < inf else ""
    yield (
        f"a worker that takes {seconds / 60:.4g} min for a stack{memory} is ended, its stack tried "
        "once more (run.limits)"
    )


def _decides(declaration: Declaration) -> Iterator[str]:
    """Yield what is compared, and what the replicates of it can decide."""
    # It needs scipy, which no other verb waits for.
    from ablation_lab.statistics.contrasts import asked
    from ablation_lab.statistics.planning import Procedure, outlook
    from ablation_lab.statistics.sequential import Looks

    pairs = asked(declaration)
    if not pairs:
        return
    looks = Looks(declaration.looks, len(pairs))
    of_cell = {cell.cell: len(cell.runs) for cell in declaration.cells}
    replicates = min(of_cell[cell] for cell, _ in pairs)
    found = outlook(len(pairs), replicates, level=looks.level)
    if found.procedure is Procedure.NONE:
        how = "which no test can decide"
    else:
        size = f"{found.smallest:.1f} standard deviations of a run"
        how = f"{found.procedure.value}, which show a difference of {size}"
    needs = "" if found.suffices else f"; tests without that need n ≥ {found.needed}"
    yield (
        f"{count(found.comparisons, 'comparison')} of {declaration.metric} {_against(pairs)}, "
        f"{count(found.replicates, 'replicate')}: {how}{needs}"
    )
    if looks.at:
        yield _looked(looks, needed=found.needed, cells=len(of_cell))


def _looked(looks: Looks, *, needed: int, cells: int) -> str:
    """Say when is looked, at which level, and how many runs that takes."""
    at, first = ", ".join(map(str, looks.at)), next((n for n in looks.at if n >= needed), None)
    early = f", better or worse from {first} on" if first and first > looks.at[0] else ""
    return (
        f"looked at with {at} replicates, each time at p ≤ {looks.level:.4f}{early}; "
        f"fewest runs {cells * looks.at[0]}, most {cells * looks.at[-1]}"
    )


def _against(pairs: Sequence[tuple[str, str]]) -> str:
    """Say with what cells are compared."""
    others = list(dict.fromkeys(other for _, other in pairs))
    return f"with {others[0]}" if len(others) == 1 else "with baselines or the step before"


def _equal(runs: tuple[Run, ...]) -> Iterator[str]:
    """Yield which cells are one configuration, and so have the same runs."""
    first = [run for run in runs if run.replicate == 0]
    equal = [cells for cells in groups(first, lambda run: run.key).values() if len(cells) > 1]
    for cells in equal[:SHOWN]:
        names = " = ".join(run.cell for run in cells[:SHOWN])
        more = f" and {len(cells) - SHOWN} more" if len(cells) > SHOWN else ""
        yield f"equal cells: {names}{more}: one configuration, trained once"
    if len(equal) > SHOWN:
        yield f"and {len(equal) - SHOWN} more groups of equal cells"
