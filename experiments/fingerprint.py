"""The fingerprint of the code that trains a run, without importing it.

It covers the family's module, the trainers, and what they import from this project, as syntax
trees without docstrings and comments: rewording invalidates nothing, a changed training step does.
Registered functions (activations, initialisers, optimisers) count only if the run's configuration
names them, so that adding one more invalidates nothing either.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from experiments.run import TrainerName

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("experiments", "lightning_modules")
# Covered by the data checksum, or by no result at all; the trainers are added by name.
OUTSIDE = (
    "experiments.data",
    "experiments.errors",
    "experiments.trainers.solo",
    "experiments.trainers.stacked",
    "lightning_modules.families",
)
ENTRIES = {
    TrainerName.SOLO: ("experiments.execute", "experiments.trainers.solo"),
    TrainerName.STACKED: (
        "experiments.execute",
        "experiments.trainers.solo",
        "experiments.trainers.stacked",
    ),
    TrainerName.ENSEMBLE: (
        "experiments.execute",
        "experiments.trainers.solo",
        "experiments.ensemble",
    ),
}


def fingerprint(family_source: Path, names: Iterable[str], trainer: TrainerName) -> str:
    """Return the fingerprint of the code that trains a run.

    ``family_source`` is the file of the model family; ``names`` are the strings of the run's
    configuration, which select the registered functions that it uses.
    """
    wanted = frozenset(names)
    files = {family_source} | _closure(family_source)
    for entry in ENTRIES[trainer]:
        files |= _closure(_path(entry))
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(_essence(path, wanted).encode())
    return digest.hexdigest()[:16]


def family_source(family: str) -> Path:
    """Return the file of a model family: ``lightning_modules/<family>.py``, or a plugin's."""
    path = ROOT / "lightning_modules" / f"{family}.py"
    if path.exists():
        return path
    import inspect

    from lightning_modules.families import FAMILIES

    return Path(inspect.getfile(FAMILIES.get(family)))


def _path(module: str) -> Path:
    base = ROOT.joinpath(*module.split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _closure(path: Path) -> frozenset[Path]:
    """Return ``path`` and every file of this project that it imports, directly or not."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting.extend(_imports(current))
    return frozenset(found)


@cache
def _imports(path: Path) -> tuple[Path, ...]:
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[Path]:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            inside = name.split(".")[0] in PACKAGES and not name.startswith(OUTSIDE)
            if inside and _path(name).exists():
                yield _path(name)


def _essence(path: Path, wanted: frozenset[str]) -> str:
    """Return what of a file can change a result: its code less unused registered functions."""
    return _kept_code(path, wanted & {label for part in _parts(path) for label in part.labels})


@cache
def _kept_code(path: Path, labels: frozenset[str]) -> str:
    parts = _parts(path)
    registered = {part.name for part in parts if part.labels}
    keep = {part.name for part in parts if part.labels & labels}
    while True:
        kept = [part for part in parts if part.name not in registered - keep]
        more = registered & {name for part in kept for name in part.uses} - keep
        if not more:
            return "\n".join(part.code for part in kept)
        keep |= more


@dataclass(frozen=True)
class Part:
    """A top-level statement: what it defines, under which names, and what it refers to."""

    name: str
    labels: frozenset[str]
    code: str
    uses: frozenset[str]


@cache
def _parts(path: Path) -> tuple[Part, ...]:
    # Every cell of a study asks for the same few files: they are taken apart once.
    return tuple(
        Part(
            name=getattr(node, "name", ""),
            labels=frozenset(_labels(node)),
            code=ast.unparse(_without_docstrings(node)),
            uses=frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name)),
        )
        for node in _tree(path).body
    )


def _labels(node: ast.stmt) -> Iterator[str]:
    """Yield the names under which a definition is registered."""
    for decorator in getattr(node, "decorator_list", []):
        match decorator:
            case ast.Call(func=ast.Attribute(attr="register"), args=[ast.Constant(value=name)]):
                yield str(name)


def _without_docstrings(node: ast.stmt) -> ast.Module:
    tree = ast.parse(ast.unparse(node))
    for inner in ast.walk(tree):
        if isinstance(inner, ast.Module | ast.FunctionDef | ast.ClassDef):
            first = inner.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                inner.body = inner.body[1:] or [ast.Pass()]
    return tree
