"""Model families by name; importing this file loads the built-in ones.

Comes in: a name and settings. Goes out: a LightningModule, initialised and ready to fit.
A family of one's own: decorate a LightningModule class with `@FAMILIES.register("my_family")`;
its keyword arguments are its settings.
"""

import inspect

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
from lightning_modules.registry import FAMILIES, UnknownName, unknown

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
    return tuple(_parameters(name))


def build_family(name: str, **settings: object) -> pl.LightningModule:
    """Return a new module of the family with these settings.

    Errors: UnknownName for a family or a setting that does not exist (with the nearest),
    ValueError for a setting that is missing or wrong.
    """
    parameters = _parameters(name)
    kinds = {parameter.kind for parameter in parameters.values()}
    for key in settings:
        if key not in parameters and inspect.Parameter.VAR_KEYWORD not in kinds:
            raise UnknownName(unknown(f"setting of family {name!r}", key, parameters))
    for key, parameter in parameters.items():
        required = parameter.default is parameter.empty and parameter.kind not in (
            inspect.Parameter.VAR_KEYWORD,
            inspect.Parameter.VAR_POSITIONAL,
        )
        if required and key not in settings:
            raise ValueError(f"family {name!r}: expected the setting {key!r}, found none; give it")
    return FAMILIES.get(name)(**settings)


def _parameters(name: str) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(FAMILIES.get(name)).parameters)
