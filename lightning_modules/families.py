"""Model families by name; importing this file loads the built-in ones.

Comes in: a name and settings. Goes out: a LightningModule, initialised and ready to fit.
A family of one's own: decorate a LightningModule class with `@FAMILIES.register("my_family")`;
its keyword arguments are its settings.
"""

import pytorch_lightning as pl

from lightning_modules import (
    autoencoder,
    char_rnn,
    convnet,
    fitnet,
    gan,
    linear,
    linear_regression,
    lstm,
    mlp,
    rbm_mlp,
    reduced,
    resnet,
    torch_mlp,
)
from lightning_modules.registry import FAMILIES
from lightning_modules.signatures import WrongSetting, signature_of

__all__ = [
    "FAMILIES",
    "autoencoder",
    "build_family",
    "char_rnn",
    "convnet",
    "fitnet",
    "gan",
    "linear",
    "linear_regression",
    "lstm",
    "mlp",
    "rbm_mlp",
    "reduced",
    "resnet",
    "settings_of",
    "torch_mlp",
]


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
