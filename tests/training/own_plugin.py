"""A plug-in, as a worker imports it: it registers the modules of ``own_modules``."""

from lightning_modules.registry import FAMILIES
from tests.training.own_modules import OWN

for family in OWN:
    FAMILIES.register(f"test_{family.__name__.lower()}")(family)
