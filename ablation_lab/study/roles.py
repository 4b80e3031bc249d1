"""Which registered things a run uses: those that its configuration names, each in its role. Pure.

A setting whose last word is that of a registry names one of its things: ``model.dense_init`` an
initializer, ``optimizer.name`` an optimizer; so does the setting of a family of one's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ablation_lab.study.fingerprint import Choice, code, is_known
from lightning_modules.registry import ROLES

# What the trainer gives a family, whatever its own default is.
GIVEN = ("loss", "optimizer")


@dataclass(frozen=True)
class Named:
    """A setting, the word of its role, and the name that it has."""

    setting: str
    word: str
    name: str


def named(config: Mapping[str, Any]) -> Iterator[Named]:
    """Yield the names of registered things in a resolved configuration, unknown ones too."""
    for section, settings in config.items():
        for key, value in settings.items():
            word = section if key == "name" else key.rpartition("_")[2]
            if word in ROLES:
                yield from (Named(f"{section}.{key}", word, name) for name in _texts(value))


def choices(config: Mapping[str, Any]) -> frozenset[Choice]:
    """Return what a run uses: what its configuration names, and what a check or family does.

    A name that nobody registered is left out: it is refused elsewhere, with its place.
    Errors: UnknownName for a check.
    """
    found = {(each.word, each.name) for each in named(config)}
    if "check" in config:
        choice = ("check", config["check"]["name"])
        # A check names things in its own way, in a list or as an argument, so any text counts.
        texts = code().strings(choice)
        every = {id(registry): word for word, registry in reversed(ROLES.items())}
        found |= {(word, name) for word in every.values() for name in texts}
        return frozenset(each for each in found if each == choice or is_known(each))
    model = config["model"]
    for parameter, name in code().defaults(("family", model["family"])).items():
        if parameter not in (*model, *GIVEN):
            found.add((parameter.rpartition("_")[2], name))
    return frozenset(each for each in found if is_known(each))


def _texts(value: Any) -> Iterator[str]:
    """Yield the names that a setting has: one, several, or that of a mapping with arguments."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts([value["name"]] if "name" in value else list(value.values()))
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _texts(entry)
