"""Packages that only some engines need: imported when asked for, or a line that names the extra."""

from __future__ import annotations

import importlib
from types import ModuleType

from ablation_lab.errors import ConfigurationError, installing


def extra(package: str, *, engine: str) -> ModuleType:
    """Import ``package``, which the extra ``engine`` installs.

    Errors: ``ConfigurationError`` where it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ConfigurationError(
            f"engine={engine}: needs the package {package!r}, which is not installed; "
            f"install it with: {installing(f'.[{engine}]')}"
        ) from None
