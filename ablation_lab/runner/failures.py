"""Runs that failed, as a user reads of them: a line for each reason, and the status of the call.

A run that raised is a defect, of the lab or of a user's own module. One that its device has no room
for is a setting that the user can mend, found only where the device is: the other cells keep their
results, and the call ends as any other that was asked for what cannot be.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

from ablation_lab.study.record import Record

# A record and the id of its MLflow run.
Failed = tuple[Record, str]


def failures(failed: Iterable[Failed]) -> list[str]:
    """Return one line for each reason: how many runs, the first one's name and its traceback."""
    groups = _grouped((each for each in failed if each[0].fits), lambda each: each.reason)
    return [f"failed: {_first(group)}: {group[0][0].reason} {_where(group)}" for group in groups]


def misfits(failed: Iterable[Failed]) -> list[str]:
    """Return one line for each study with runs that their device has no room for."""
    groups = _grouped((each for each in failed if not each[0].fits), lambda each: each.run.study)
    return [f"error: {_cells(group)}: {group[0][0].reason} {_where(group)}" for group in groups]


def status(failed: Iterable[Failed]) -> int:
    """Return the exit status: 0 where nothing failed, 2 where a run did not fit, else 1."""
    return max((1 if record.fits else 2 for record, _ in failed), default=0)


def _grouped(
    failed: Iterable[Failed], of_one_group: Callable[[Record], Hashable]
) -> list[list[Failed]]:
    groups: dict[Hashable, list[Failed]] = {}
    for each in failed:
        groups.setdefault(of_one_group(each[0]), []).append(each)
    return list(groups.values())


def _first(group: list[Failed]) -> str:
    run = group[0][0].run
    more = f" and {len(group) - 1} more" if len(group) > 1 else ""
    return f"{run.study} {run.cell} replicate {run.replicate}{more}"


def _cells(group: list[Failed]) -> str:
    first, others = group[0][0].run, {record.run.cell for record, _ in group[1:]}
    more = len(others - {first.cell})
    also = f" and {more} more cell{'s' if more > 1 else ''}" if more else ""
    return f"study/{first.study}.yaml: {first.cell}{also}"


def _where(group: list[Failed]) -> str:
    return f"(traceback.txt of MLflow run {group[0][1]})"
