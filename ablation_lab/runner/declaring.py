"""What a store is told before the runs: what is declared, and where results come from.

Comes in: the declared studies. Goes out: the store, open and ready for records.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ablation_lab.runner.configuration import Invocation
from ablation_lab.store.client import Store
from ablation_lab.store.declared import validate_own
from ablation_lab.store.write import Tracker
from ablation_lab.study.declare import Declared, declaration_of
from ablation_lab.study.references import references_text

PACKAGES = ("torch", "pytorch-lightning", "mlflow", "hydra-core", "optuna", "numpy", "pandas")


def keep_declarations(call: Invocation, declared: Iterable[Declared]) -> Tracker:
    """Tell the store what is declared.

    Errors: ``StoreError`` for a store of another project, in which nothing is changed.
    """
    tracker = Tracker(call.tracking_uri, call.artifacts)
    rates = call.rates.declared
    said = {**provenance(), **({"rates": rates} if rates else {})}
    descriptions = [declaration_of(entry, said) for entry in declared]
    for description in descriptions:
        validate_own(Store(call.tracking_uri), description)
    if call.references:
        tracker.keep_references(references_text(call.references))
    for description in descriptions:
        tracker.declare(description.study, call.profile, description.model_dump(mode="json"))
    return tracker


@cache
def provenance() -> dict[str, str]:
    """Return commit, Python, package versions and machine, each as text."""
    return {
        "commit": _commit(),
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    root = Path(__file__).resolve().parents[2]
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return "unknown (no git checkout)"
    return result.stdout.strip()
