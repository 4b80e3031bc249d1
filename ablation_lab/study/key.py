"""Identity is content: a run's key is the hash of everything that determines its result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from ablation_lab.data import DATASETS, checksum
from ablation_lab.study.fingerprint import (
    check_fingerprint,
    family_source,
    fingerprint,
    named_by_check,
)
from ablation_lab.study.stacking import trainer_of

# What counts only for runs that say so: those that are asked something, those with fewer bits.
FURTHER = {
    "ask": ("ablation_lab.training.scoring", "answers"),
    "precision": ("ablation_lab.training.computing", "precision"),
}


def run_key(config: Mapping[str, Any], seed: int, replicate: int) -> str:
    """Return the key of one run, 20 hexadecimal digits.

    Covers the resolved configuration, the study seed, the replicate, the data's checksum and the
    fingerprint of the code that trains it.
    """
    prefix = config_digest(json.dumps(config, sort_keys=True), seed)
    return hashlib.sha256(f"{prefix}/{replicate}".encode()).hexdigest()[:20]


@cache
def config_digest(config_json: str, seed: int) -> str:
    """Return the digest of all that the replicates of a cell share."""
    config = json.loads(config_json)
    if "check" in config:
        check = config["check"]["name"]
        code = check_fingerprint(check)
        # A check without a data section may read embedded data, which it names.
        named = sorted(name for name in named_by_check(check) if name in DATASETS.names())
    else:
        named = []
        family = config["model"]["family"]
        further = tuple(code for name, code in FURTHER.items() if config["training"].get(name))
        names = sorted(set(_strings(config)))
        code = fingerprint(family_source(family), family, names, trainer_of(config), further)
    parts = [
        json.dumps(content(config), sort_keys=True),
        str(seed),
        checksum(config["data"]["name"]) if "data" in config else "",
        code,
        *map(checksum, named),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def content(value: Any) -> Any:
    """Return what counts of a configuration: a setting that is null is no content.

    So a new optional setting changes no key.
    """
    if isinstance(value, Mapping):
        return {k: content(entry) for k, entry in value.items() if entry is not None}
    return value


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _strings(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _strings(entry)
