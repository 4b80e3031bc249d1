"""One call: a command line in, an exit status out.

Exit status: 0 all done; 1 some runs failed; 2 bad configuration, data or store, nothing started, or
runs for which their device has no room, which only trying shows; 130 on Ctrl-C, with everything
finished so far kept.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from ablation_lab.data import DataError
from ablation_lab.errors import ConfigurationError, StoreError, nearest
from ablation_lab.output import say
from ablation_lab.runner.composition import compose, names, own_folders, project_plugins, usage
from ablation_lab.runner.configuration import Invocation, read
from lightning_modules.registry import UnknownName

# What a user can mend; anything else is a defect of the lab and keeps its traceback.
REFUSALS = (
    ConfigurationError,
    DataError,
    StoreError,
    UnknownName,
    HydraException,
    OmegaConfBaseException,
    YAMLError,
)


def _carry_out(config: DictConfig) -> int:
    sys.path.insert(0, str(Path.cwd()))
    plugins = config.get("plugins") or []
    if isinstance(plugins, str):
        raise ConfigurationError(f"plugins: expected a list, [{plugins}], found {plugins!r}")
    config.plugins = [*dict.fromkeys([*project_plugins(), *plugins])]
    for name in config.plugins:
        _import_plugin(name)
    invocation: Invocation = read(config)
    # Imported after the configuration is known to be right: MLflow takes seconds to import.
    from ablation_lab.runner.session import carry_out

    return carry_out(invocation)


def _import_plugin(name: str) -> None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise ConfigurationError(_plugin_line(name, error)) from None
        raise ConfigurationError(
            f"plugins: no package {name!r}; it is looked for in {Path.cwd()} and on PYTHONPATH"
        ) from None
    except Exception as error:  # a user's package may raise whatever it likes
        raise ConfigurationError(_plugin_line(name, error)) from None


def _plugin_line(name: str, error: Exception) -> str:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    last = traceback.extract_tb(error.__traceback__)[-1]
    # A syntax error names its place itself; its last frame is the import machinery's.
    place = "" if isinstance(error, SyntaxError) else f" ({last.filename}:{last.lineno})"
    return f"plugins: {name!r} cannot be imported: {reason}{place}"


def main() -> int:
    """Carry out one call and return the exit status."""
    arguments = sys.argv[1:]
    if {"-h", "--help"} & set(arguments):
        say(usage())
        return 0
    try:
        return _carry_out(compose(arguments))
    except REFUSALS as error:
        return _refuse(error)
    except KeyboardInterrupt:
        print("stopped; everything finished so far is kept", file=sys.stderr)  # noqa: T201
        return 130


def _refuse(error: Exception) -> int:
    print(f"error: {_line(error)}", file=sys.stderr)  # noqa: T201 - the one line a user is owed
    return 2


def _line(error: Exception) -> str:
    """Say in one line what is wrong, also where Hydra, OmegaConf or YAML use several."""
    cause = error.__cause__
    match error:
        case MissingConfigException(missing_cfg_file=str(file)):
            group, _, name = file.rpartition("/")
            # Of the last of several names, Hydra has forgotten what it could have been.
            known = error.options or names(group, own_folders(sys.argv))
            return f"{group}: unknown name {name!r}; {nearest(name, known)}"
        case OverrideParseException():
            return f"command line: {error.override!r}: expected key=value, such as profile=quick"
        case HydraException() if isinstance(cause, OmegaConfBaseException):
            return _unknown_key(cause)
        case UnknownName():
            return f"{error}; what a package of your own registers needs plugins=[package]"
        case OmegaConfBaseException(full_key=str(key)):
            return f"{key}: {str(error).splitlines()[0]}"
    return " ".join(str(error).split())


def _unknown_key(error: OmegaConfBaseException) -> str:
    place = str(error.full_key or error.key)
    known = [str(key) for key in error.parent_node or []]
    return f"command line: unknown key {place!r}; {nearest(error.key, known)}"
