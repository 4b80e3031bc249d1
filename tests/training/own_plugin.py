"""A plug-in, as a worker imports it: it registers the modules of ``own_modules``."""

from lightning_modules.registry import FAMILIES
from tests.training.own_modules import OWN

for name, family in OWN.items():
    FAMILIES.register(name)(family)
