"""Engines by name: what ``engine=NAME`` on the command line picks, read to typed settings.

``conf/engine/NAME.yaml`` lists the settings of each. What an engine needs beyond the lab is
imported when it starts, never before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ablation_lab.engines.contract import EngineSettings
from ablation_lab.engines.local import LocalSettings
from ablation_lab.engines.ray import RaySettings
from ablation_lab.engines.slurm import SlurmSettings
from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.study.section import Section

ENGINES: Mapping[str, Callable[[Section], EngineSettings]] = {
    "local": LocalSettings.read,
    "ray": RaySettings.read,
    "slurm": SlurmSettings.read,
}


def read_engine(section: Section) -> EngineSettings:
    """Return the settings of the engine that the section names.

    Errors: ``ConfigurationError``.
    """
    name = section.take("name", str)
    if name not in ENGINES:
        raise ConfigurationError(
            f"{section.place}.name: unknown engine {name!r}; {nearest(name, ENGINES)}"
        )
    return ENGINES[name](section)
