"""``ablation doctor``: what is installed, what answers, and how a family of a user's own is.

Comes in: the folder of a project, or of none, and a package or a family to look at closely. Goes
out: one line for each thing that was looked at, with what to do about it where it is not in order;
the status is 0 if nothing that a call needs is missing, else 1. Nothing is written.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from ablation_lab.errors import ConfigurationError, StoreError, installing
from ablation_lab.output import say
from ablation_lab.study.files import files_of, read_yaml
from ablation_lab.study.project import Project, open_project

NEEDED = ("torch", "pytorch-lightning", "mlflow", "hydra-core", "optuna", "pandas", "seaborn")


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, how it is, and whether calls can do with that."""

    what: str
    found: str
    good: bool = True

    @property
    def line(self) -> str:
        """The line as it is printed."""
        return f"{'ok ' if self.good else 'BAD'} {self.what}: {self.found}"


def examine(folder: Path) -> int:
    """Print what was found; return 0 if it is all in order, else 1."""
    findings = [*_packages(), *_devices(), *_engines(), *_project(folder)]
    for finding in findings:
        say(finding.line)
    return 0 if all(finding.good for finding in findings) else 1


def examine_families(project: Project, word: str) -> int:
    """Print what was found of the families of a package, or of the one that family=NAME names.

    Errors: ConfigurationError for a package that registers none; UnknownName for an unknown family.
    """
    from ablation_lab.runner.family import examine_family, families_of
    from ablation_lab.study.schema import parse_study

    key, _, name = word.partition("=")
    names = [name] if key == "family" and name else families_of(word)
    if not names:
        raise ConfigurationError(f"doctor: {word!r} registers no family; name one by family=NAME")
    files = files_of("study", [project.conf])
    studies = [parse_study(each, read_yaml(path)[each], path) for each, path in files.items()]
    good = True
    for each in names:
        for answer in examine_family(each, studies):
            say(Finding(f"{each}, {answer.question}", answer.found, not answer.wrong).line)
            good &= not answer.wrong
    return 0 if good else 1


def _packages() -> Iterator[Finding]:
    yield Finding("Python", f"{platform.python_version()}, {platform.system()}")
    for name in NEEDED:
        try:
            yield Finding(name, version(name))
        except PackageNotFoundError:
            yield Finding(name, f"not installed; {installing(name)}", good=False)


def _devices() -> Iterator[Finding]:
    from ablation_lab.engines.devices import cores

    yield Finding("cores", str(cores()))
    if find_spec("torch") is None:
        return
    import torch

    cards = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    yield Finding("CUDA devices", ", ".join(cards) or "none")


def _engines() -> Iterator[Finding]:
    yield Finding("engine local", "answers")
    ray = "installed" if find_spec("ray") else f"not installed; {installing('ablation-lab[ray]')}"
    yield Finding("engine ray", ray)
    submits = find_spec("submitit") is not None and shutil.which("sbatch") is not None
    lacking = "needs submitit and the command sbatch of a login node"
    yield Finding("engine slurm", "answers" if submits else lacking)


def _project(folder: Path) -> Iterator[Finding]:
    try:
        project = open_project(folder)
    except ConfigurationError as error:
        yield Finding("project", str(error))
        return
    yield Finding("project", f"{folder}: {', '.join(project.declared)}")
    for name in project.plugins:
        spec = find_spec(name)
        found = str(spec.origin) if spec else "not found in the project or on PYTHONPATH"
        yield Finding(f"plug-in {name}", found, good=spec is not None)
    yield from _store(project.folder)


def _store(folder: Path) -> Iterator[Finding]:
    from ablation_lab.store.connect import address_of
    from ablation_lab.store.runs import stored_runs

    path = folder / "runs" / "mlflow.db"
    if not path.exists():
        yield Finding("store", f"{path}: not there yet; the first run creates it")
        return
    try:
        stored_runs(address_of(path), [])
        yield Finding("store", str(path))
    except StoreError as error:
        yield Finding("store", str(error), good=False)
