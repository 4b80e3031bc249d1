"""The registry of checks: functions that return the numbers of one printed claim, in its order."""

from collections.abc import Callable, Iterable

from lightning_modules.registry import Registry

Check = Callable[..., Iterable[float]]

CHECKS: Registry[Check] = Registry("check")
