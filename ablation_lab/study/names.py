"""Names of activations, initialisers and reductions, checked without importing torch.

Comes in: a declared study. Goes out: nothing, or the first name that nobody has registered. The
modules say the same when they are built, but only in a worker, seconds later.
"""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path

from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.study.declare import Declared
from lightning_modules.registry import Registry

FOLDER = Path(__file__).resolve().parents[2] / "lightning_modules"
# Section and key of a run's configuration, and the files that register what it may name.
FILES = {
    ("model", "activation"): ("activations.py",),
    ("model", "init"): ("initializers.py",),
    ("model", "dense_init"): ("initializers.py",),
    ("model", "bias_init"): ("initializers.py",),
    ("model", "recurrent_init"): ("initializers.py",),
    ("model", "reduction"): ("reductions.py",),
}


def check_names(declared: Declared) -> None:
    """Refuse a name that no built-in file registers.

    Errors: ``ConfigurationError`` that names the study, the cell and the key.
    """
    for cell in declared.cells:
        if "check" in cell.config:
            continue  # an unknown check has no code, and so no key: it is refused before
        for (section, key), files in FILES.items():
            name = cell.config[section].get(key)
            if isinstance(name, str) and name not in registered(*files):
                raise ConfigurationError(
                    f"{declared.study.place}: {cell.name}: {section}.{key}: "
                    f"unknown name {name!r}; {nearest(name, registered(*files))}"
                )


@cache
def registered(*files: str) -> tuple[str, ...]:
    """Return the names that files of ``lightning_modules`` register, and those of plug-ins."""
    trees = [ast.parse((FOLDER / file).read_text(encoding="utf-8")) for file in files]
    built_in = [name for tree in trees for name in _names(tree)]
    # A plug-in that registers something has imported the file whose registry it uses.
    loaded = [sys.modules.get(f"lightning_modules.{file.removesuffix('.py')}") for file in files]
    registries = [r for m in loaded if m for r in vars(m).values() if isinstance(r, Registry)]
    added = [name for registry in registries for name in registry.names()]
    return tuple(dict.fromkeys([*built_in, *added]))


def _names(tree: ast.Module) -> list[str]:
    names = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="register"), args=[ast.Constant(value=name)]):
                names.append(str(name))
    return names
