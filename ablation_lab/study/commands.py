"""What to type to train what is missing, and why it is.

In: the names of a study and a profile. Out: a command line, and words around it.
"""

from __future__ import annotations


def command(study: str, profile: str) -> str:
    """The command that trains what is missing of a study, and nothing else."""
    return f"ablation run study={study} profile={profile}"


def untrained_because(needs: str, study: str, profile: str) -> str:
    """Why runs were not trained, and the command that does it."""
    return f"{not_run(needs)}; {command(study, profile)} trains what is missing"


def not_run(needs: str) -> str:
    """'not run', with what the study needs where it says so."""
    return f"not run, needs {needs}" if needs else "not run"
