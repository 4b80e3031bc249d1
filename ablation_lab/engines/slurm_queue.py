"""What Slurm is asked, by its own commands: whether it takes jobs, their states, their end.

States are those of its controller (`squeue`), so that a cluster without accounting will do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Collection, Mapping

from ablation_lab.errors import ConfigurationError

# Slurm's own commands wait long for a controller that is not there; in seconds.
PATIENCE = 20.0
NAME = "ablation-lab"
# States of jobs that somebody ended, whose own fault it is not; and of all that are over.
ASKED = frozenset({"CANCELLED", "NODE_FAIL", "PREEMPTED", "REVOKED"})
OVER = ASKED | {"BOOT_FAIL", "COMPLETED", "DEADLINE", "FAILED", "OUT_OF_MEMORY", "TIMEOUT"}
# What the controller does not know any more is over for minutes.
FORGOTTEN = "forgotten"


def validate_reachable(flags: list[str]) -> None:
    """Ask Slurm whether it would take a job with such options of sbatch, without submitting one.

    Errors: ``ConfigurationError`` with Slurm's own words.
    """
    for command in ("sbatch", "srun", "squeue", "scancel"):
        if shutil.which(command) is None:
            raise ConfigurationError(
                f"engine=slurm: no command {command!r} on this machine; submit from a login node "
                "of a Slurm cluster, or set engine.executor=local"
            )
    _, reason = _asked(["sbatch", "--test-only", *flags, "--wrap=true"])
    if reason:
        raise ConfigurationError(f"engine=slurm: sbatch would take no such job: {reason}")


def states(jobs: Collection[str]) -> Mapping[str, str]:
    """Return the state of each job; none where Slurm gives no answer, which says nothing."""
    command = ["squeue", "--noheader", "--array", "--states=all", f"--name={NAME}"]
    said, reason = _asked([*command, f"--user={os.getuid()}", "--format=%i %T"])
    if reason:
        return {}
    found = dict(line.split() for line in said.splitlines())
    return {job: found.get(job, FORGOTTEN) for job in jobs}


def cancel(jobs: Collection[str]) -> None:
    """End jobs."""
    if jobs:
        _asked(["scancel", *jobs])


def _asked(command: list[str]) -> tuple[str, str]:
    """Run a command of Slurm; return what it said, and what went wrong or ''."""
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return "", f"no answer in {PATIENCE:g} s"
    except OSError as error:
        return "", f"{error}"
    if not answer.returncode:
        return answer.stdout, ""
    return "", " ".join(answer.stderr.split()) or f"status {answer.returncode}"
