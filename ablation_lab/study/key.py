"""Identity is content: a run's key is the hash of everything that determines its result. Pure.

That is its configuration, and the code of what it uses: registered things, each in its role. A
setting whose last word is that of a registry names one of its things: ``model.dense_init`` an
initializer, ``optimizer.name`` an optimizer; so does the setting of a family of one's own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ablation_lab.study.fingerprint import Choice, code, fingerprint, is_known
from ablation_lab.study.run import TrainerName
from ablation_lab.study.stacking import is_found, trainer_of
from lightning_modules.registry import ROLES

# What the trainer gives a family, whatever its own default is.
GIVEN = ("loss", "optimizer")

# A function of the product, as module and name.
Entry = tuple[str, str]
SINGLE: Entry = ("ablation_lab.training.single", "train")
RECORD: Entry = ("ablation_lab.training.record", "record_of")
# Where a run's result comes from, by who trains it.
TRAINERS: dict[TrainerName, tuple[Entry, ...]] = {
    TrainerName.SINGLE: (SINGLE, RECORD),
    TrainerName.STACKED: (("ablation_lab.training.stacked", "train"), RECORD),
    TrainerName.ENSEMBLE: (
        SINGLE,
        ("ablation_lab.training.ensemble", "combine_members"),
        RECORD,
    ),
}
# What counts only for runs that say so: those that are asked something, those with fewer bits,
# those that are looked into, those on a part of the examples.
FURTHER: dict[tuple[str, str], tuple[Entry, ...]] = {
    ("training", "predict_at"): (("ablation_lab.training.scoring", "answers"),),
    ("training", "precision"): (("ablation_lab.training.computing", "precision"),),
    ("training", "probe"): (
        ("ablation_lab.training.probe", "Probe"),
        ("ablation_lab.training.probe", "with_probed"),
    ),
    ("data", "train_size"): (("ablation_lab.data.loading", "_subset"),),
}

OF_COMMANDS = ("command", "params", "limits")
# Sections that change no result.
INDIFFERENT = ("limits",)


def run_key(config: Mapping[str, Any], seed: int, replicate: int) -> str:
    """Return the key of one run, 20 hexadecimal digits.

    Covers the resolved configuration, the study seed, the replicate, the data's checksum and the
    fingerprint of the code that trains it.
    Errors: UnknownName for a check that nobody registered.
    """
    prefix = config_digest(json.dumps(config, sort_keys=True), seed)
    return hashlib.sha256(f"{prefix}/{replicate}".encode()).hexdigest()[:20]


@cache
def config_digest(config_json: str, seed: int) -> str:
    """Return the digest of all that the replicates of a cell share."""
    config = json.loads(config_json)
    code = fingerprint(choices(config), frozenset(entries(config)))
    counting = {name: each for name, each in config.items() if name not in INDIFFERENT}
    text = json.dumps(content(counting), sort_keys=True)
    return hashlib.sha256(f"{text}\n{seed}\n{code}".encode()).hexdigest()


def content(value: Any) -> Any:
    """Return what counts of a configuration: a setting that is null is no content.

    So a new optional setting changes no key.
    """
    if isinstance(value, Mapping):
        return {k: content(entry) for k, entry in value.items() if entry is not None}
    return value


def entries(config: Mapping[str, Any]) -> Iterator[Entry]:
    """Yield the functions of a trainer that give a run its result, besides what it names."""
    if "training" not in config:
        return
    yield from TRAINERS[trainer_of(config)]
    if is_found(config["model"]["family"]):
        # Its first steps tell which of the two it is.
        yield from (*TRAINERS[TrainerName.SINGLE], *TRAINERS[TrainerName.STACKED])
    for (section, setting), further in FURTHER.items():
        if config[section].get(setting):
            yield from further


@dataclass(frozen=True)
class Named:
    """A setting, the word of its role, and the name that it has."""

    setting: str
    word: str
    name: str


def named(config: Mapping[str, Any]) -> Iterator[Named]:
    """Yield the names of registered things in a resolved configuration, unknown ones too."""
    for section, settings in config.items():
        # What a command is given is its own affair.
        for key, value in settings.items() if section not in OF_COMMANDS else ():
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
    if "model" not in config:
        return frozenset()
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
