"""The fingerprint of the code that trains a run, without importing it.

It covers the functions, classes and constants that the run's trainer, its model family and the
scoring reach, as syntax trees without docstrings, comments and annotations: rewording invalidates
nothing, a changed training step does, and neither does a change beside what is reached.
Registered functions (activations, initialisers, optimisers) count only if the run's configuration
names them, so that adding one more invalidates nothing either; those of a user's own package count
like built-in ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from ablation_lab.study.checks import CHECKS
from ablation_lab.study.run import TrainerName
from ablation_lab.study.source import Use, imports, parts
from lightning_modules.registry import place_of

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ablation_lab", "lightning_modules", "experiments")
# Covered by the data checksum, or only carrying what others compute.
OUTSIDE = (
    "ablation_lab.data",
    "experiments.data",
    "ablation_lab.errors",
    "ablation_lab.study.record",
    "ablation_lab.study.run",
    "lightning_modules.families",
    "lightning_modules.registry",
)
# Where a run's result comes from: module and name.
ENTRIES = {
    TrainerName.SINGLE: (
        ("ablation_lab.training.single", "train"),
        ("ablation_lab.training.record", "record_of"),
    ),
    TrainerName.STACKED: (
        ("ablation_lab.training.stacked", "train"),
        ("ablation_lab.training.record", "record_of"),
    ),
    TrainerName.PROBED: (
        ("ablation_lab.training.probe", "train"),
        ("ablation_lab.training.record", "record_of"),
        ("ablation_lab.training.record", "with_observation"),
    ),
    TrainerName.ENSEMBLE: (
        ("ablation_lab.training.single", "train"),
        ("ablation_lab.training.record", "record_of"),
        ("ablation_lab.training.ensemble", "combine_members"),
    ),
}

# A part of a file: the file, and the place of the statement in it.
Place = tuple[Path, int]


def fingerprint(
    family_source: Path,
    family: str,
    names: Iterable[str],
    trainer: TrainerName,
    further: tuple[tuple[str, str], ...] = (),
) -> str:
    """Return the fingerprint of the code that trains a run.

    ``family_source`` is the file of the model ``family``; ``names`` are the strings of the run's
    configuration, which select the registered functions that it uses; ``further`` are entries of
    the run's own, module and name.
    """
    wanted = frozenset([family, *names])
    files = {family_source, *_foreign_files(wanted)}
    starts = {(_path(module), name) for module, name in (*ENTRIES[trainer], *further)}
    return _digest(frozenset(files), frozenset(starts), wanted)


def check_fingerprint(name: str) -> str:
    """Return the fingerprint of the code that computes a check: its function and what it reaches.

    Registered functions count if the check names them.
    """
    return _digest(frozenset([check_source(name)]), frozenset(), named_by_check(name) | {name})


def named_by_check(name: str) -> frozenset[str]:
    """Return the strings in a check's function: it may name registered functions and data sets."""
    every = parts(check_source(name))
    return frozenset(text for part in every if name in part.labels for text in part.strings)


def check_source(name: str) -> Path:
    """Return the file that registers a check, found without importing it where that is possible."""
    for module in CHECKS.modules:
        for path in _files_of(module):
            if any(name in part.labels for part in parts(path)):
                return path
    import inspect

    return Path(inspect.getfile(CHECKS.get(name)))


def _files_of(module: str) -> list[Path]:
    """Return the files of a module or package, which is not imported."""
    path = _path(module)
    if not path.exists():
        spec = find_spec(module)
        if spec is None or spec.origin is None:
            return []
        path = Path(spec.origin)
    return sorted(path.parent.glob("*.py")) if path.name == "__init__.py" else [path]


def family_source(family: str) -> Path:
    """Return the file of a model family: ``lightning_modules/<family>.py``, or a plugin's."""
    path = ROOT / "lightning_modules" / f"{family}.py"
    if path.exists():
        return path
    import inspect

    from lightning_modules.families import FAMILIES

    return Path(inspect.getfile(FAMILIES.get(family)))


def _foreign_files(wanted: frozenset[str]) -> Iterator[Path]:
    """Yield the files outside this project that registered something the run names."""
    for name in sorted(wanted):
        for file in place_of(name):
            if not file.is_relative_to(Path(__file__).resolve().parents[2]):
                yield file


@cache
def _digest(
    files: frozenset[Path], starts: frozenset[tuple[Path, str]], wanted: frozenset[str]
) -> str:
    """Hash every part that is reached, in an order that does not depend on where the code lies."""
    every = _all_files([*files, *(path for path, _ in starts)])
    roots = {place for path, name in starts for place in _defining(path, name)}
    roots |= {(p, n) for p in every for n, part in enumerate(parts(p)) if part.labels & wanted}
    # A user's file may register things in any way of its own: all of it counts.
    roots |= {(p, n) for p in files if not p.is_relative_to(ROOT) for n in range(len(parts(p)))}
    lines = sorted(f"{path.name}\n{parts(path)[number].code}" for path, number in _reached(roots))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _reached(roots: set[Place]) -> set[Place]:
    """Return the roots and every part that they use, directly or not."""
    found: set[Place] = set()
    waiting = sorted(roots)
    while waiting:
        place = waiting.pop()
        if place not in found:
            found.add(place)
            waiting.extend(_used(place) - found)
    return found


@cache
def _used(place: Place) -> set[Place]:
    path, number = place
    return {target for use in parts(path)[number].uses for target in _targets(path, use)}


def _targets(path: Path, use: Use) -> Iterator[Place]:
    """Yield the parts that a name in a file stands for: of that file, or of one it imports."""
    if (path, use[0]) in _names(path):
        yield from _defining(path, use[0])
        return
    lead = imports(path).get(use[0])
    if lead is None:
        return
    module = _path(".".join(lead))
    if _is_ours(".".join(lead)) and module.exists():
        # The name is a module: what counts is the attribute that is taken of it.
        if len(use) > 1:
            yield from _targets_in(module, use[1])
    elif len(lead) == 2 and _is_ours(lead[0]):
        yield from _targets_in(_path(lead[0]), lead[1])


def _targets_in(module: Path, name: str) -> Iterator[Place]:
    """Yield the parts that define a name of a module, also where the module imports it itself."""
    if (module, name) in _names(module):
        yield from _defining(module, name)
    elif name in imports(module):
        yield from _targets(module, (name,))


@cache
def _names(path: Path) -> frozenset[tuple[Path, str]]:
    return frozenset((path, name) for part in parts(path) for name in part.names)


def _defining(path: Path, name: str) -> list[Place]:
    return [(path, n) for n, part in enumerate(parts(path)) if name in part.names]


def _all_files(starts: Iterable[Path]) -> frozenset[Path]:
    """Return the files and every file of this project that they import, directly or not."""
    found: set[Path] = set()
    waiting = list(starts)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(_imported_files(path))
    return frozenset(found)


@cache
def _imported_files(path: Path) -> tuple[Path, ...]:
    names = [name for lead in imports(path).values() for name in (lead[0], ".".join(lead))]
    return tuple(_path(name) for name in names if _is_ours(name) and _path(name).exists())


def _is_ours(module: str) -> bool:
    return module.split(".", maxsplit=1)[0] in PACKAGES and not module.startswith(OUTSIDE)


def _path(module: str) -> Path:
    base = ROOT.joinpath(*module.split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
