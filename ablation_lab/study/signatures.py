"""The settings of what a study names: arguments of registered functions, read without importing.

Comes in: a registry and a name. Goes out: its signature. Of the families and parts of
``lightning_modules`` it is read from the source, so that planning needs no torch; what a plug-in
has registered is there already, and is asked itself.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ablation_lab.errors import nearest
from ablation_lab.study.reading import Problem
from lightning_modules.registry import FAMILIES, OPTIMIZERS, Place, Registry
from lightning_modules.signatures import (
    REQUIRED,
    UNFIT,
    UNTOLD,
    Setting,
    Signature,
    arguments,
    arguments_of,
    handed_on,
    joined,
    plain,
    settings_of_torch,
    signature_of,
)

# Arguments of a ``pl.Trainer`` that are no setting of a run, and what to do instead.
TRAINER_GIVEN = {
    "max_epochs": "use training.epochs",
    "max_steps": "use training.steps",
    "callbacks": "return them from the module's configure_callbacks",
    "devices": "use engine.devices_per_run",
    **dict.fromkeys(("accelerator", "strategy", "num_nodes", "plugins"), "use engine"),
    **dict.fromkeys(("use_distributed_sampler", "sync_batchnorm"), "leave it out"),
    **dict.fromkeys(
        ("max_time", "benchmark"), "the same run would give other results; leave it out"
    ),
    **dict.fromkeys(("limit_test_batches", "limit_predict_batches"), "all is scored; leave it out"),
    **dict.fromkeys(("fast_dev_run", "barebones", "profiler"), "leave it out"),
    **dict.fromkeys(("enable_checkpointing", "enable_progress_bar"), "leave it out"),
    **dict.fromkeys(("enable_model_summary", "enable_autolog_hparams"), "leave it out"),
    **dict.fromkeys(("logger", "default_root_dir", "model_registry"), "leave it out"),
}
# What a function is given, as far as it takes it.
FUNCTION_GIVEN = ("config", "seed", "out")
FOLDER = Path(__file__).resolve().parents[2] / "lightning_modules"


@dataclass(frozen=True)
class _Definition:
    """A function or class in a file."""

    path: Path
    node: ast.FunctionDef | ast.ClassDef


def known(registry: Registry[Any]) -> tuple[str, ...]:
    """Return the names that a section can have: those registered, and torch's own optimisers."""
    torch = _torch_classes() if registry is OPTIMIZERS else {}
    return tuple(dict.fromkeys([*registry.names(), *(name for name in torch if name not in UNFIT)]))


def signature(registry: Registry[Any], name: str) -> Signature:
    """Return the settings of what is registered under a name that is ``known``."""
    if name not in registry.names():
        return settings_of_torch(_of_definition(_torch_class(name)))
    place = registry.places(name)[0]
    if place.path.parent != FOLDER:
        return signature_of(registry.get(name))
    return _of_definition(_registered(place))


def settings_of_function(name: str) -> Signature:
    """Return the settings of a family that is a function: what it takes, but what it is given.

    One that takes ``config``, the mapping of them all, takes any.
    """
    taken = arguments_of(FAMILIES.get(name))
    settings = taken.without(FUNCTION_GIVEN).settings
    return Signature(settings, open=taken.open or "config" in taken.settings)


def trainer_problems(given: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with arguments of a ``pl.Trainer``; some the lab gives itself."""
    settings = _trainer().without(tuple(TRAINER_GIVEN))
    for key in given:
        if key in TRAINER_GIVEN:
            yield (key,), f"the lab gives it; {TRAINER_GIVEN[key]}"
        elif key not in settings.settings:
            yield (), f"unknown key {key!r}; {nearest(key, settings.settings)}"
    yield from (((key,), said) for key, said in settings.problems(given))


@cache
def _trainer() -> Signature:
    """Return the arguments of a ``pl.Trainer``; Lightning is not imported."""
    spec = find_spec("pytorch_lightning")
    if spec is None or spec.origin is None:
        return Signature({}, open=True)
    path = Path(spec.origin).parent / "trainer" / "trainer.py"
    return _of_definition(_class(path, "Trainer"))


@cache
def _registered(place: Place) -> _Definition:
    """Return the function or class that the decorator in a line registers."""
    for node in _tree(place.path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and place.line in [
            decorator.lineno for decorator in node.decorator_list
        ]:
            return _Definition(place.path, node)
    raise ValueError(f"{place.path}:{place.line}: expected a decorator that registers what follows")


@cache
def _torch_classes() -> dict[str, tuple[Path, str]]:
    """Return torch's own optimisers by name, with file and class; torch is not imported."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return {}
    folder = Path(spec.origin).parent / "optim"
    found = {}
    for node in _tree(folder / "__init__.py").body:
        lead, _, file = (getattr(node, "module", None) or "").rpartition(".")
        if isinstance(node, ast.ImportFrom) and lead == "torch.optim":
            for each in node.names:
                if each.name[0].isupper():
                    found[each.name.lower()] = folder / f"{file}.py", each.name
    return found


def _torch_class(name: str) -> _Definition:
    return _class(*_torch_classes()[name])


def _class(path: Path, wanted: str) -> _Definition:
    (node,) = (n for n in _tree(path).body if isinstance(n, ast.ClassDef) and n.name == wanted)
    return _Definition(path, node)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _of_definition(found: _Definition) -> Signature:
    node = found.node
    if isinstance(node, ast.FunctionDef):
        return _of_function(found.path, node)
    own = [f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"]
    bases = [base for each in node.bases if (base := _base(found.path, each)) is not None]
    if not own:
        return _of_definition(bases[0]) if bases else Signature({}, open=True)
    signature = _of_function(found.path, own[0])
    given = handed_on(own[0])
    if not signature.open or not bases or given is None:
        return signature
    return joined(signature, _of_definition(bases[0]), given)


def _of_function(path: Path, function: ast.FunctionDef) -> Signature:
    """Return all arguments of a function but the first: ``self``, or what it works on."""
    settings = {
        argument.arg: Setting(
            ast.unparse(argument.annotation) if argument.annotation else "",
            REQUIRED if default is None else _value(path, default),
        )
        for argument, default in arguments(function)[1:]
    }
    match function.args.kwarg:
        case ast.arg(annotation=ast.Subscript(slice=ast.Name() as named)):  # Unpack[SomeTypedDict]
            return Signature({**settings, **_of_typed_dict(path, named)})
    return Signature(settings, open=function.args.kwarg is not None)


def _of_typed_dict(path: Path, name: ast.Name) -> dict[str, Setting]:
    found = _base(path, name)
    fields = found.node.body if found is not None else []
    return {
        field.target.id: Setting(ast.unparse(field.annotation), UNTOLD)
        for field in fields
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }


def _value(path: Path, node: ast.expr) -> object:
    """Return a default that is a literal, or a name that the file gives one."""
    for statement in _tree(path).body:
        match statement, node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value), ast.Name(id=wanted) if (
                name == wanted
            ):
                node = value
    try:
        return plain(ast.literal_eval(node))
    except ValueError:
        return UNTOLD


def _base(path: Path, base: ast.expr) -> _Definition | None:
    """Return a class of ``lightning_modules`` by the name that a file has for it."""
    if not isinstance(base, ast.Name):
        return None
    for node in _tree(path).body:
        if isinstance(node, ast.ClassDef) and node.name == base.id:
            return _Definition(path, node)
        if isinstance(node, ast.ImportFrom) and base.id in [each.name for each in node.names]:
            package, _, module = (node.module or "").partition(".")
            if package == FOLDER.name:
                return _base(FOLDER / f"{module}.py", base)
    return None
