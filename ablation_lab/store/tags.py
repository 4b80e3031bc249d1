"""Every name under which the lab keeps something in MLflow: tags, kinds of runs, files, each once.

The values are those of stores that exist: a name that changes here is not found there.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

PREFIX = "ablation."


class Tag(StrEnum):
    """Tags of runs; ``ARTIFACTS`` is one of experiments."""

    KEY = "ablation.key"
    STUDY = "ablation.study"
    PROFILE = "ablation.profile"
    CELL = "ablation.cell"
    REPLICATE = "ablation.replicate"
    STATUS = "ablation.status"
    RULE = "ablation.nc_rule"
    TRAINER = "ablation.trainer"
    WRITER = "ablation.driver"
    CONFIG = "ablation.config"
    PROVENANCE = "ablation.provenance"
    TUNED = "ablation.tuned"
    ERROR = "ablation.error"
    # On a server: the run's own id in the spool.
    SPOOLED = "ablation.spooled"
    # The key before the run was taken over.
    KEY_BEFORE = "ablation.adopted_from"
    KIND = "ablation.kind"
    # Of a report run: the file of somebody else's that its runs are from.
    IMPORTED = "ablation.imported"
    # Of a cell run: the experiment that holds its replicates.
    REPLICATES = "ablation.replicates"
    # Where an experiment's files lie, seen from the folder of the database.
    ARTIFACTS = "ablation.artifacts"


class Kind(StrEnum):
    """What a run that trained nothing stands for."""

    CELL = "cell"
    REPORT = "report"
    REFERENCES = "ledger"


class File(StrEnum):
    """Files of runs."""

    LOGITS = "test_logits.npz"
    HITS = "test_hits.npz"
    SAMPLES = "samples.png"
    PROBED = "observation.json"
    TRACEBACK = "traceback.txt"
    DECLARATION = "declaration.json"
    REFERENCES = "claims.json"
    # Of an imported study.
    RUNS = "imported_runs.parquet"
    CURVES = "imported_curves.parquet"
    # A folder, with a file for each entry.
    PROTOCOL = "protocol"


# Between the levels that name a run.
LEVELS = " · "
# MLflow's own: the name of a run, the text above it, and the shared views of a run table.
NAME = "mlflow.runName"
NOTE = "mlflow.note.content"
VIEW = "mlflow.sharedViewState"
# The experiment of the reference values; every study has two of its own.
REFERENCES = "claims"
REPLICATES = ".replicates"


def replicates_of(study: str) -> str:
    """Return the name of the experiment that holds a study's trained runs."""
    return f"{study}{REPLICATES}"


def having(tags: Mapping[Tag, str]) -> str:
    """Return MLflow's filter for the runs that have all these tags."""
    return " and ".join(f"tags.`{tag}` = '{value}'" for tag, value in tags.items())


def plain(tags: Mapping[Tag, str]) -> dict[str, str]:
    """Return tags as MLflow and databases take them, of str itself."""
    return {str(tag): str(value) for tag, value in tags.items()}
