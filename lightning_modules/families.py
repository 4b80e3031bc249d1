"""Model families by name; a built-in one is imported when it is asked for.

Comes in: a name and settings. Goes out: a LightningModule, initialised and ready to fit.
A family of one's own: decorate a LightningModule class with `@FAMILIES.register("my_family")`;
its keyword arguments are its settings.
"""

import pytorch_lightning as pl

from lightning_modules.registry import FAMILIES
from lightning_modules.signatures import WrongSetting, signature_of

__all__ = ["FAMILIES", "build_family", "settings_of"]


def settings_of(name: str) -> tuple[str, ...]:
    """Return the names of the settings that this family takes.

    Errors: UnknownName if there is no such family.
    """
    return tuple(signature_of(FAMILIES.get(name)).settings)


def build_family(name: str, **settings: object) -> pl.LightningModule:
    """Return a new module of the family with these settings.

    Errors: UnknownName for a family or a setting that does not exist (with the nearest),
    ValueError for a setting that is missing or wrong.
    """
    family = FAMILIES.get(name)
    try:
        signature_of(family).complete(f"family {name!r}", settings)
    except WrongSetting as error:
        raise ValueError(f"family {name!r}: {error}") from None
    return family(**settings)
