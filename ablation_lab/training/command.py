"""A run that is a process of its own: what it is given, and what it leaves.

Comes in: a run of a command, or of a function, which is called in such a process. Goes out: named
values, curves and files. The run has a folder of its own, ``runs/work/KEY`` of the project, which
is made anew for it and is gone when its results are kept.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ablation_lab.study.command import Limits, filled
from ablation_lab.study.run import Role, Run, Stack, stream
from ablation_lab.training.logs import forget, logged, offer_mlflow
from ablation_lab.training.process import Ended, carry_out, own_folder
from ablation_lab.training.values import Computed, gathered, missing, printed, written

WORK = Path("runs", "work")
CALLING = "ablation_lab.training.calling"
NO_LIMITS = Limits(minutes=None, memory=None, files=0)
PARAMS, OUTPUT, LEFT_OUT = "params.json", "output.txt", "left_out.txt"


def commanded(run: Run, stack: Stack) -> Computed:
    """Start the command of a run, wait for it, and return what it left."""
    return _carried_out(run, stack, run.config["command"], run.config["params"])


def called(run: Run, stack: Stack) -> Computed:
    """Call the function of a run in a process of its own, and return what it left."""
    settings = dict(run.config["model"])
    params = {"family": settings.pop("family"), "plugins": stack.plugins, "settings": settings}
    path = os.pathsep.join(dict.fromkeys(each or str(Path.cwd()) for each in sys.path))
    command = {
        "arguments": [sys.executable, "-m", CALLING, "${params}"],
        "environment": {"PYTHONPATH": path},
    }
    return _carried_out(run, stack, command, params)


def _carried_out(
    run: Run, stack: Stack, command: Mapping[str, Any], params: Mapping[str, Any]
) -> Computed:
    project = Path(stack.project)
    limits = Limits(**run.config["limits"])
    work = project / WORK / run.key
    shutil.rmtree(work, ignore_errors=True)
    out = work / "out"
    out.mkdir(parents=True)
    store = own_folder() / "mlruns"
    values = _values(run, params, work)
    given = {name: filled(each, values) for name, each in _given(command).items()}
    series, heed = printed(command.get("pattern") or ())
    ended = carry_out(
        [filled(each, values) for each in command["arguments"]],
        folder=project / (command.get("folder") or ""),
        environment=variables({**offer_mlflow(store, out), **given}),
        limits=limits,
        heed=heed,
    )
    try:
        places = [*written(out, run.metrics), series, *logged(store, out)]
        found = gathered(places, without=run.factors)
    except ValueError as error:
        ended, found = Ended(ended.said or str(error), ended.output), Computed({})
    why = ended.why and ended.said
    (work / PARAMS).unlink()
    forget(store)
    files = _kept(work, ended.output if not why else "", limits.files)
    return replace(found, why=why or missing(found, run.metrics), output=ended.output, files=files)


def variables(given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a command: this one, the Python that runs the lab, the given."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", **given}


def failed_setup(arguments: Sequence[str], command: Mapping[str, Any], project: Path) -> str:
    """Carry out what comes before the first run; return what it said if it failed, or ''."""
    ended = carry_out(
        arguments,
        folder=project / (command.get("folder") or ""),
        environment=variables(_given(command)),
        limits=NO_LIMITS,
        heed=lambda _: None,
    )
    return ended.why and ended.said


def _given(command: Mapping[str, Any]) -> Mapping[str, str]:
    return command.get("environment") or {}


def _values(run: Run, params: Mapping[str, Any], work: Path) -> dict[str, Any]:
    """Return what placeholders stand for, and write the file of all of it."""
    values = {
        **params,
        "seed": seed_of(run),
        "replicate": run.replicate,
        "out": str(work / "out"),
        "device": "cuda" if os.environ.get("CUDA_VISIBLE_DEVICES") else "cpu",
    }
    file = work / PARAMS
    file.write_text(json.dumps(values, indent=1), encoding="utf-8")
    return {**values, "params": str(file)}


def seed_of(run: Run) -> int:
    """Return the seed of a run in [0, 2^31), which every library takes."""
    return stream(run.seed, Role.INIT, run.replicate) >> 32


def _kept(work: Path, output: str, megabytes: float) -> str:
    """Leave in a run's folder what is to be kept of it; return the folder, '' if that is nothing.

    The smallest files come first; what there is no room for is named in a file.
    """
    room, left_out = megabytes * 1e6, []
    for path in sorted(_files(work / "out"), key=lambda each: each.stat().st_size):
        room -= path.stat().st_size
        if room < 0:
            left_out.append(f"{path.relative_to(work)}\t{path.stat().st_size}\n")
            path.unlink()
    if output:
        (work / OUTPUT).write_text(output, encoding="utf-8")
    if left_out:
        (work / LEFT_OUT).write_text("".join(left_out), encoding="utf-8")
    if any(path.is_file() for path in work.rglob("*")):
        return str(work)
    shutil.rmtree(work)
    return ""


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder; links, sockets and the like are removed."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            path.unlink()
        elif path.is_file():
            yield path
