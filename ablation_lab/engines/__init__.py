"""Engines by name: what ``engine=NAME`` on the command line picks, read to typed settings.

``conf/engine/NAME.yaml`` lists the settings of each. What an engine needs beyond the lab is
imported when it starts, never before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablation_lab.engines.contract import EngineSettings
from ablation_lab.engines.devices import PLACE
from ablation_lab.engines.local import LocalSettings
from ablation_lab.engines.ray import RaySettings
from ablation_lab.engines.slurm import SlurmSettings
from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.study.reading import read_model

ENGINES: Mapping[str, type[LocalSettings | RaySettings | SlurmSettings]] = {
    "local": LocalSettings,
    "ray": RaySettings,
    "slurm": SlurmSettings,
}


def read_engine(given: Mapping[str, Any]) -> EngineSettings:
    """Return the settings of the engine that the section names.

    Errors: ``ConfigurationError``.
    """
    name = str(given.get("name"))
    if name not in ENGINES:
        raise ConfigurationError(f"{PLACE}.name: unknown engine {name!r}; {nearest(name, ENGINES)}")
    return read_model(ENGINES[name], given, "config.yaml", at=("engine",))
