"""Names of registered things in a study, checked without importing torch.

Comes in: a declared study. Goes out: nothing, or the first name that nobody has registered. The
modules say the same when they are built, but only in a worker, seconds later.
"""

from __future__ import annotations

from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.study.declare import Declared
from ablation_lab.study.roles import named
from lightning_modules.registry import ROLES

# The words of settings that can name nothing else.
CHECKED = ("activation", "init", "reduction")


def check_names(declared: Declared) -> None:
    """Refuse a name that neither a built-in file nor a plug-in registers.

    Errors: ``ConfigurationError`` that names the study, the cell and the key.
    """
    for cell in declared.cells:
        for each in named(cell.config):
            known = ROLES[each.word].names() if each.word in CHECKED else (each.name,)
            if each.name not in known:
                raise ConfigurationError(
                    f"{declared.study.place}: {cell.name}: {each.setting}: "
                    f"unknown name {each.name!r}; {nearest(each.name, known)}"
                )
