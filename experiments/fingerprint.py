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


def _imports(path: Path) -> Iterator[Path]:
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
    body = _tree(path).body
    registered = dict(entry for node in body for entry in _registered(node))
    keep = {name for name, label in registered.items() if label in wanted}
    keep |= _used(body, registered, keep)
    kept = _kept(body, registered, keep)
    return "\n".join(ast.unparse(_without_docstrings(node)) for node in kept)


def _registered(node: ast.stmt) -> Iterator[tuple[str, str]]:
    """Yield (definition, registered name) of a top-level definition, if it is registered."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        for decorator in node.decorator_list:
            match decorator:
                case ast.Call(func=ast.Attribute(attr="register"), args=[ast.Constant(value=name)]):
                    yield node.name, str(name)


def _kept(body: list[ast.stmt], registered: dict[str, str], keep: set[str]) -> list[ast.stmt]:
    """Return the top-level statements without the registered functions that are not kept."""
    dropped = set(registered) - keep
    return [node for node in body if getattr(node, "name", None) not in dropped]


def _used(body: list[ast.stmt], registered: dict[str, str], keep: set[str]) -> set[str]:
    """Return registered functions that kept code refers to, until nothing is added."""
    used = set(keep)
    while True:
        nodes = [inner for node in _kept(body, registered, used) for inner in ast.walk(node)]
        names = {node.id for node in nodes if isinstance(node, ast.Name)}
        more = (names & set(registered)) - used
        if not more:
            return used
        used |= more


def _without_docstrings(node: ast.stmt) -> ast.Module:
    tree = ast.parse(ast.unparse(node))
    for inner in ast.walk(tree):
        if isinstance(inner, ast.Module | ast.FunctionDef | ast.ClassDef):
            first = inner.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                inner.body = inner.body[1:] or [ast.Pass()]
    return tree
