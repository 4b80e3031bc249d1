"""``python -m experiments study=xor_depth profile=quick engine=local``: the only Hydra entry.

Exit status: 0 all done; 1 some runs failed; 2 bad configuration, data or store, nothing started;
130 on Ctrl-C, with everything finished so far kept.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

# Hydra reports its own errors with a traceback and status 1; here they are one line and status 2.
os.environ.setdefault("HYDRA_FULL_ERROR", "1")

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from experiments.configuration import Invocation, read
from experiments.data import DataError
from experiments.errors import ConfigurationError, StoreError
from lightning_modules.registry import UnknownName

CONF = Path(__file__).resolve().parent.parent / "conf"
_statuses: list[int] = []


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def application(config: DictConfig) -> None:
    """Compose, check and carry out one invocation."""
    sys.path.insert(0, str(Path.cwd()))
    for name in config.get("plugins") or []:
        _import_plugin(name)
    _statuses.append(_carry_out(read(config)))


def _carry_out(invocation: Invocation) -> int:
    # Imported after the configuration is known to be right: MLflow takes seconds to import.
    from experiments.session import carry_out

    return carry_out(invocation)


def _import_plugin(name: str) -> None:
    try:
        importlib.import_module(name)
    except ImportError as error:
        raise ConfigurationError(f"plugins: {name!r} cannot be imported: {error}") from None


def _study_dir_first(arguments: list[str]) -> list[str]:
    """Turn ``study_dir=PATH`` into Hydra's search path, which must be known before composing."""
    folders = [a.partition("=")[2] for a in arguments if a.startswith("study_dir=")]
    paths = [f"file://{Path(folder).resolve()}" for folder in folders if folder]
    return [*arguments, f"hydra.searchpath=[{','.join(paths)}]"] if paths else arguments


def main() -> int:
    """Run the application and return the exit status."""
    sys.argv[1:] = _study_dir_first(sys.argv[1:])
    try:
        application()
    except (ConfigurationError, DataError, StoreError, UnknownName) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the one line a user is owed
        return 2
    except (HydraException, OmegaConfBaseException) as error:
        print(f"error: {_hydra_line(error)}", file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        print("stopped; everything finished so far is kept", file=sys.stderr)  # noqa: T201
        return 130
    # Hydra gives no value back; --help and --cfg carry out nothing.
    return max(_statuses, default=0)


def _hydra_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    wanted = [line for line in lines if not line.startswith(("Set the", "full_key", "object_type"))]
    return " ".join(wanted)


if __name__ == "__main__":
    sys.exit(main())
