"""Python source taken apart: the top-level statements of a file, and what each one uses.

Comes in: paths of files of this project, or of a user's package; nothing is imported. Goes out:
the parts of a file, without docstrings, comments and annotations, and where its names lead.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# A name used in a part: ("relu",), or ("losses", "accuracy") for losses.accuracy.
Use = tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """A top-level statement: what it defines, under which names it is registered, what it uses.

    ``strings`` are the texts in it.
    """

    names: frozenset[str]
    labels: frozenset[str]
    code: str
    uses: frozenset[Use]
    strings: frozenset[str]


@cache
def parts(path: Path) -> tuple[Part, ...]:
    """Return the top-level statements of a file, imports and type checking apart."""
    statements = (_plain(node) for node in _tree(path).body)
    return tuple(
        Part(
            names=frozenset(_defined(node)),
            labels=frozenset(_labels(node)),
            code=ast.unparse(node),
            uses=frozenset(_uses(node)),
            strings=frozenset(_strings(node)),
        )
        for node in statements
        if not isinstance(node, ast.Import | ast.ImportFrom) and not _is_type_checking(node)
    )


@cache
def imports(path: Path) -> dict[str, Use]:
    """Return local name → (module,) or (module, name) for every import of a file."""
    found: dict[str, Use] = {}
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {a.asname or a.name: (node.module, a.name) for a in node.names}
        elif isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                found[name] = (alias.name if alias.asname else name,)
    return found


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        yield node.name
        return
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            yield inner.id


def _labels(node: ast.stmt) -> Iterator[str]:
    """Yield the names under which a statement registers something, as decorator or by a call."""
    calls = list(getattr(node, "decorator_list", []))
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        calls.append(node.value.func)
    for call in calls:
        match call:
            case ast.Call(func=ast.Attribute(attr="register"), args=[ast.Constant(value=name)]):
                yield str(name)


def _uses(node: ast.stmt) -> Iterator[Use]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            yield (inner.id,)
        elif isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name):
            yield (inner.value.id, inner.attr)


def _strings(node: ast.stmt) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield inner.value


def _plain(node: ast.stmt) -> ast.stmt:
    """Return a copy without docstrings and the annotations of functions: no result needs them."""
    copy = ast.parse(ast.unparse(node)).body[0]
    for inner in ast.walk(copy):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
            _forget_annotations(inner)
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = inner.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                inner.body = inner.body[1:] or [ast.Pass()]
    return copy


def _forget_annotations(function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    function.returns = None
    every = function.args
    for argument in [*every.posonlyargs, *every.args, *every.kwonlyargs, every.vararg, every.kwarg]:
        if argument is not None:
            argument.annotation = None
