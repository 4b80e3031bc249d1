"""Modules as people write them, each with what it is trained on; nothing here knows the lab."""

from . import callbacks, data, hooks, layers, optimisation, refused, schedules, tasks
from .case import CASES, REFUSED, Case

__all__ = [
    "CASES",
    "REFUSED",
    "Case",
    "callbacks",
    "data",
    "hooks",
    "layers",
    "optimisation",
    "refused",
    "schedules",
    "tasks",
]
