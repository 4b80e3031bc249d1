"""A plug-in, as a worker imports it: it registers the modules of ``own_modules``."""

from tests.training.own_modules import OWN, registered

registered(OWN).__enter__()
