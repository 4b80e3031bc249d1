"""Python source taken apart: the top-level statements of a file, and what each one uses.

Comes in: the text of a file; nothing is imported. Goes out: its parts, each as a syntax tree
without docstrings, comments and annotations, in which every name from outside is a numbered hole,
so that the text of a part says neither in which file it stands nor how it spells what it imports.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property

from ablation_lab.study.scopes import Imported, Names, Reading, imported
from lightning_modules.signatures import arguments

# What a function or class gives its parameters; parameter -> the text that is its default.
Defaults = dict[str, str]


@dataclass(frozen=True)
class Signature:
    """The parameters that can be given by position, and those whose default is a text."""

    positional: tuple[str, ...] = ()
    defaults: Defaults = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A top-level statement from its ``first`` line to its ``last``, and the names it defines."""

    node: ast.stmt
    first: int
    last: int
    names: tuple[str, ...]

    @cached_property
    def reading(self) -> Reading:
        """What the statement says and uses; looked at only where the part is reached."""
        # The tree is taken apart in place, so whatever else is asked of it is asked before.
        _ = self.signature, self.is_registry, self.is_effect
        return Names(self.names).read(self.node)

    @cached_property
    def signature(self) -> Signature:
        """How the function, or the constructor of the class, is called."""
        return _signature(self.node)

    @cached_property
    def is_registry(self) -> bool:
        """Whether it makes a registry, which is no code of the things in it."""
        value = getattr(self.node, "value", None)
        return isinstance(value, ast.Call) and ast.unparse(value.func).endswith("Registry")

    @cached_property
    def is_effect(self) -> bool:
        """Whether it defines and registers nothing, and so changes what others define."""
        if self.names:
            return False
        calls = (n.func for n in ast.walk(self.node) if isinstance(n, ast.Call))
        return not any(isinstance(f, ast.Attribute) and f.attr == "register" for f in calls)


@dataclass(frozen=True)
class File:
    """A file taken apart; ``stars`` are the modules of which it imports every name."""

    parts: tuple[Part, ...]
    imports: dict[str, Imported]
    stars: tuple[Imported, ...]

    @cached_property
    def defining(self) -> dict[str, tuple[int, ...]]:
        """Name -> the numbers of the parts that define it."""
        found: dict[str, tuple[int, ...]] = {}
        for number, part in enumerate(self.parts):
            for name in part.names:
                found[name] = (*found.get(name, ()), number)
        return found


@cache
def taken_apart(text: str) -> File:
    """Return the parts and imports of a file with this text."""
    tree = ast.parse(text)
    kept = [node for node in tree.body if not _is_skipped(node)]
    whole = ast.Module([n for n in tree.body if not _is_definition(n)], [])
    found = [each for node in ast.walk(whole) for each in imported(node)]
    return File(
        parts=tuple(_part(node) for node in kept),
        imports={name: origin for name, origin in found if name != "*"},
        stars=tuple(origin for name, origin in found if name == "*"),
    )


def _part(node: ast.stmt) -> Part:
    first = min([node.lineno, *(n.lineno for n in getattr(node, "decorator_list", []))])
    return Part(node, first, node.end_lineno or first, tuple(dict.fromkeys(_defined(node))))


def _is_definition(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


def _is_skipped(node: ast.stmt) -> bool:
    """Whether a statement computes nothing: imports, docstrings, what only a type checker reads."""
    if isinstance(node, ast.If):
        test = ast.unparse(node.test)
        return "TYPE_CHECKING" in test or "__name__" in test
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return text or isinstance(node, ast.Import | ast.ImportFrom | ast.Pass)


def _defined(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement defines, in the order of the text."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
        return
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    if not isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp):
        for inner in ast.iter_child_nodes(node):
            yield from _defined(inner)  # type: ignore[arg-type]


def _signature(node: ast.stmt) -> Signature:
    if isinstance(node, ast.ClassDef):
        own = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
        found = _signature(own[0]) if own else Signature()
        return Signature(found.positional[1:], found.defaults)
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return Signature()
    positional = tuple(each.arg for each in (*node.args.posonlyargs, *node.args.args))
    defaults = {
        argument.arg: value.value
        for argument, value in arguments(node)
        if isinstance(value, ast.Constant) and isinstance(value.value, str)
    }
    return Signature(positional, defaults)
