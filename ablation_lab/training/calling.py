"""Calls the function of a run: the main program of a process that does nothing else.

Comes in: the file of a run's settings. Goes out: ``metrics.jsonl`` in the folder of the run. The
function is given what it takes: ``seed``, ``out``, ``config`` (the mapping of all settings), and
each setting that is an argument of its own. It returns names with their values, and may yield
``(step, names with their values)`` before.
"""

from __future__ import annotations

import inspect
import json
import random
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ablation_lab.training.packages import import_packages
from lightning_modules.registry import FAMILIES

METRICS = "metrics.jsonl"


def call(params: Mapping[str, Any]) -> None:
    """Import the plug-ins, call the function, and write down what it gives.

    Errors: TypeError for what is no mapping of names to numbers; whatever the function raises.
    """
    import_packages(params["plugins"])
    _seed(params["seed"])
    function: Any = FAMILIES.get(params["family"])
    out = Path(params["out"])
    given = function(**_arguments(function, params, out))
    with (out / METRICS).open("w", encoding="utf-8") as file:
        if isinstance(given, Iterator):
            given = _yielded(given, file)
        if given is not None:
            _write({}, given, file)


def _seed(seed: int) -> None:
    """Seed what the packages have loaded, for a function that draws from anywhere."""
    random.seed(seed)
    np.random.seed(seed % (1 << 32))
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)


def _arguments(function: Any, params: Mapping[str, Any], out: Path) -> dict[str, Any]:
    settings = params["settings"]
    every = {**settings, "config": settings, "seed": params["seed"], "out": out}
    takes = inspect.signature(function).parameters.values()
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in takes):
        return every
    return {each.name: every[each.name] for each in takes if each.name in every}


def _yielded(given: Iterator[Any], file: TextIO) -> Any:
    """Write down the points of curves; return what comes at the end."""
    while True:
        try:
            step, values = next(given)
        except StopIteration as end:
            return end.value
        _write({"step": step}, values, file)
        file.flush()


def _write(lead: dict[str, Any], values: Any, file: TextIO) -> None:
    if not isinstance(values, Mapping):
        raise TypeError(f"expected a mapping of names to numbers, found {values!r:.200}")
    print(json.dumps({**lead, **values}, default=float), file=file)


if __name__ == "__main__":
    call(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
