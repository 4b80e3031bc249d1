"""What one statement says, apart from how the names that it takes from outside are spelled.

Comes in: a top-level statement. Goes out: its syntax tree as text, with a numbered hole for every
name that is bound nowhere inside (a global, a builtin, an import), the dotted names that belong
into the holes, and the calls in it. Names that are bound inside (parameters, variables) stay.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

# A dotted name from outside: ("relu",), or ("losses", "accuracy") for losses.accuracy.
Use = tuple[str, ...]
HOLE = "⟦{}⟧"
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
# Annotations that say more than a type: they decide what is a field.
TELLING = ("ClassVar", "InitVar", "KW_ONLY")
# Classes that look at the types in their annotations.
TYPED = ("Model", "NamedTuple", "TypedDict")
# Fields of a tree that say nothing about what is computed.
SILENT = ("ctx", "kind", "type_comment", "type_ignores", "type_params")


@dataclass(frozen=True)
class Call:
    """A call with texts among its arguments: by number, by keyword; ``hole`` says of what.

    ``given`` are the keywords that it has, None if it may have any.
    """

    hole: int | None
    positional: tuple[tuple[int, str], ...]
    keywords: tuple[tuple[str, str], ...]
    count: int
    given: frozenset[str] | None


@dataclass(frozen=True)
class Imported:
    """Where a local name comes from: dots of a relative import, a module, a name in it or ''."""

    level: int
    module: str
    name: str = ""


@dataclass(frozen=True)
class Reading:
    """A statement as text with holes, and the names that belong into them.

    Besides these its calls, every text in it, and what it imports itself.
    """

    text: str
    uses: tuple[Use, ...]
    calls: tuple[Call, ...]
    strings: frozenset[str]
    imports: dict[str, Imported]


class Names(ast.NodeTransformer):
    """Finds the names from outside in a statement that defines ``own`` names, and strips it."""

    def __init__(self, own: tuple[str, ...]) -> None:
        self._own = own
        self._scopes: list[set[str]] = []
        self._inside: list[ast.AST] = []
        self._uses: dict[Use, int] = {}
        self._calls: list[Call] = []
        self._strings: set[str] = set()
        self._imports: dict[str, Imported] = {}

    def read(self, node: ast.stmt) -> Reading:
        """Return what the statement says; the statement is changed."""
        stripped = self.visit(node)
        text = _text(stripped)
        for number, name in enumerate(self._own):
            # How a thing is called is no part of it: what uses it says which one it means.
            text = text.replace(f"⟦own {name}⟧", f"⟦own {number}⟧")
        strings = frozenset(self._strings)
        return Reading(text, tuple(self._uses), tuple(self._calls), strings, self._imports)

    def visit(self, node: ast.AST) -> Any:
        """Visit what has a scope of its own in it, and the rest as its kind says."""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return self._function(node)
        if isinstance(node, ast.Import | ast.ImportFrom):
            self._imports.update(imported(node))  # what it brings stands where it is used
            return None
        return self._comprehension(node) if isinstance(node, Comprehension) else super().visit(node)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Visit what is inside; a body that had nothing but text passes."""
        super().generic_visit(node)
        if isinstance(getattr(node, "body", None), list) and not node.body:  # type: ignore[attr-defined]
            node.body = [ast.Pass()]  # type: ignore[attr-defined]
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Leave out values that stand by themselves: docstrings."""
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """Note a text."""
        if isinstance(node.value, str):
            self._strings.add(node.value)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """Leave out the annotation."""
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        """Leave out the annotation, but where a class looks at it."""
        inside = self._inside[-1] if self._inside else None
        if isinstance(inside, ast.ClassDef):
            said = ast.unparse(node.annotation)
            typed = any(ast.unparse(base).endswith(TYPED) for base in inside.bases)
            if typed or any(word in said for word in TELLING):
                return self.generic_visit(node)
            if any("dataclass" in ast.unparse(each) for each in inside.decorator_list):
                node.annotation = ast.Constant(None)
                return self.generic_visit(node)
        if node.value is None:
            return None
        assigned: ast.AST = self.visit(ast.Assign([node.target], node.value))
        return assigned

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Make a hole of a name from outside."""
        if not self._scopes and not self._inside and isinstance(node.ctx, ast.Store):
            return ast.Name(f"⟦own {node.id}⟧") if node.id in self._own else node
        free = isinstance(node.ctx, ast.Load) and self._is_free(node.id)
        return self._hole((node.id,)) if free else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Make one hole of a whole dotted name from outside."""
        use = _dotted(node)
        return self._hole(use) if use and self._is_free(use[0]) else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Note a call that names something in a text, or whose defaults may."""
        use = _dotted(node.func)
        hole = self._number(use) if use and self._is_free(use[0]) else None
        positional = tuple(
            (number, text) for number, each in enumerate(node.args) for text in _named(each)
        )
        keywords = tuple((k.arg, text) for k in node.keywords if k.arg for text in _named(k.value))
        open_ended = any(k.arg is None for k in node.keywords) or any(
            isinstance(each, ast.Starred) for each in node.args
        )
        given = None if open_ended else frozenset(k.arg for k in node.keywords if k.arg)
        self._calls.append(Call(hole, positional, keywords, len(node.args), given))
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Visit a class: what its body binds is seen in no method."""
        for name in ("decorator_list", "bases", "keywords"):
            setattr(node, name, [self.visit(each) for each in getattr(node, name)])
        self._name(node)
        self._inside.append(node)
        node.body = _visited(self, node.body)
        self._inside.pop()
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        """Visit a function in a scope of its own."""
        node.args = self.visit(node.args)
        self._scopes.append(_bound(node))
        node.body = self.visit(node.body)
        self._scopes.pop()
        return node

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        node.decorator_list = [self.visit(each) for each in node.decorator_list]
        if not self._inside:
            self._strings.clear()  # what it is registered as is no text of what it does
        node.args = self.visit(node.args)
        self._name(node)
        self._scopes.append(_bound(node))
        self._inside.append(node)
        node.body = _visited(self, node.body)
        self._inside.pop()
        self._scopes.pop()
        return node

    def _comprehension(self, node: Comprehension) -> ast.AST:
        first = node.generators[0]
        first.iter = self.visit(first.iter)
        targets = (name for each in node.generators for name in _stored([each.target]))
        self._scopes.append(set(targets))
        taken = first.iter
        first.iter = ast.Constant(None)
        self.generic_visit(node)
        first.iter = taken
        self._scopes.pop()
        return node

    def _name(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        if not self._inside and node.name in self._own:
            node.name = f"⟦own {node.name}⟧"

    def _is_free(self, name: str) -> bool:
        return not any(name in scope for scope in self._scopes)

    def _number(self, use: Use) -> int:
        return self._uses.setdefault(use, len(self._uses))

    def _hole(self, use: Use) -> ast.AST:
        return ast.Name(HOLE.format(self._number(use)))


def imported(node: ast.AST) -> Iterator[tuple[str, Imported]]:
    """Yield local name -> origin for what a statement imports."""
    if isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name, Imported(node.level, node.module or "", alias.name)
    elif isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.partition(".")[0]
            yield alias.asname or top, Imported(0, alias.name if alias.asname else top)


def _visited(visitor: Names, body: list[ast.stmt]) -> list[ast.stmt]:
    kept = [each for each in map(visitor.visit, body) if each is not None]
    return kept or [ast.Pass()]


def _dotted(node: ast.AST) -> Use | None:
    """Return the dotted name that an expression is, if it is nothing else."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return (*before, node.attr) if before else None
    return None


def _named(node: ast.AST) -> Iterator[str]:
    """Yield the names that an argument may be: a text, ``{"name": text}``, or texts by a key."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Dict):
        pairs = list(zip(node.keys, node.values, strict=True))
        own = [v for k, v in pairs if isinstance(k, ast.Constant) and k.value == "name"]
        for value in own or node.values:
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.value


def _bound(function: Function) -> set[str]:
    """Return the names that a function binds: parameters, and what its body assigns or defines."""
    args = function.args
    every = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
    body = function.body if isinstance(function.body, list) else [function.body]
    outer = {name for node in body for name in _declared_global(node)}
    return ({each.arg for each in every if each} | set(_stored(body))) - outer


def _stored(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names that are bound in these trees, inner scopes apart."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                yield node.id
        elif not isinstance(node, ast.Lambda | Comprehension | ast.Import | ast.ImportFrom):
            named = getattr(node, "name", None) or getattr(node, "rest", None)
            if isinstance(named, str):
                yield named
            yield from _stored(ast.iter_child_nodes(node))


def _declared_global(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Global):
            yield from inner.names


def _text(value: Any) -> str:
    """Write a tree down, alike in every version of Python: trees differ in empty fields."""
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    if not isinstance(value, ast.AST):
        return repr(value)
    if isinstance(value, ast.Name):
        return value.id
    fields = (
        f"{name}={_text(inner)}"
        for name, inner in ast.iter_fields(value)
        if inner not in (None, []) and name not in SILENT
    )
    return f"{type(value).__name__}({','.join(fields)})"
