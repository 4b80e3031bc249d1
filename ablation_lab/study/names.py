"""What things of a study can be called: names that files, tables and MLflow will take. Pure.

Comes in: the name of a study, a profile, a factor, a level or a metric. Goes out: nothing, or why
it cannot be called so, before anything trains. What is only shown, such as the name of a factor,
may have any letter; what becomes a file or is a key of MLflow's may not.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

# A key of the file, and a sentence.
Problem = tuple[tuple[str | int, ...], str]
LONGEST = 200  # letters of a name: MLflow takes 250 of a key, file systems 255 bytes of a name
# What MLflow takes as the key of a metric or parameter.
KEY = re.compile(r"[/\w.\- ]+")
_WORD = re.compile(r"[^\w\- ]")
FORBIDDEN = re.compile(r"[\x00-\x1f\x7f]")
# What a name of a file cannot have on one of the systems, or would mean on the command line.
NOT_IN_FILES = re.compile(r"[\\/:*?\"<>|,={}\[\]$'`]")
# Names of devices on Windows, with any ending.
DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


class Language(StrEnum):
    """What a report can be written in: its tag, as HTML and BCP 47 have it."""

    ENGLISH = "en"
    KOREAN = "ko"


# Columns of runs.csv and cells.csv, which no factor can have beside them.
RUN_COLUMNS = ("study", "cell", "replicate", "run_id", "status")
OUTCOME_COLUMNS = (
    "not_converged", "not_converged_recorded", "steps", "seconds", "cpu_seconds", "gpu_seconds",
    "joules", "metered_by", "trainer", "device", "reason",
)  # fmt: skip
CELL_COLUMNS = (
    "metric", "n", "estimate", "low", "high", "interval", "not_converged", "n_declared", "finished",
    "failed", "missing", "skipped", "successes", "nan_rate", "converged_mean", "kinds", "baseline",
    "pairs", "difference", "difference_low", "difference_high", "test", "p", "p_equivalence",
    "standing", "best", "reason",
)  # fmt: skip
# What every run has besides, and curves that most have.
NUMBERS = (
    "parameters", "success", "selected_step", "not_converged_step", "first_exact_step",
    "prediction", "train_loss", "train_accuracy", "train_fit", "val_accuracy", "val_loss",
    "test_accuracy", "test_loss", "test_distance",
)  # fmt: skip
COLUMNS = frozenset((*RUN_COLUMNS, *OUTCOME_COLUMNS, *CELL_COLUMNS, *NUMBERS))
# Of these, what a metric cannot be called; "nc" and "nc_step" are what stores have of former ones.
NO_METRICS = frozenset((*RUN_COLUMNS, *OUTCOME_COLUMNS, "nc", "nc_step")) - {"steps", "seconds"}
# Experiments and files of the lab's own, and what names nothing.
TAKEN = frozenset(
    ("claims", "default", "index", "methods", "none", "null", "paper", "provenance", "values")
)


def wrong_text(text: str) -> str:
    """Say why a text can name nothing, or ''."""
    if not text.strip():
        return "expected a text that is not empty"
    if FORBIDDEN.search(text):
        return "expected one line without control characters"
    return f"expected at most {LONGEST} letters, found {len(text)}" if len(text) > LONGEST else ""


def wrong_file(text: str) -> str:
    """Say why a profile cannot be called so, as its folder of reports is, or ''."""
    if said := wrong_text(text):
        return said
    if found := NOT_IN_FILES.search(text):
        return f"expected the name of a file on any system, found {found[0]!r} in it"
    if text[0] in " .-~" or text[-1] in " ." or DEVICES.fullmatch(text):
        return f"expected the name of a file on any system, found {text!r}"
    return ""


def wrong_study(text: str) -> str:
    """Say why a study cannot be called so, as its files and experiments are, or ''."""
    if text.lower() in TAKEN or text.endswith(".replicates"):
        return f"{text!r} is a name of the lab's own; choose another"
    return wrong_file(text)


def wrong_factor(text: str) -> str:
    """Say why a factor cannot be called so, or ''."""
    if text.strip() in COLUMNS:
        return f"{text!r} is a column of the lab's own tables; rename the factor"
    return wrong_text(text)


def wrong_metric(text: str) -> str:
    """Say why a metric cannot be called so, or ''."""
    if said := wrong_text(text):
        return said
    if text in NO_METRICS:
        return f"{text!r} is a column of the lab's own tables; log it under another name"
    if not KEY.fullmatch(text) or posixpath.normpath(text) != text or text[0] in "/.":
        return f"expected a name that MLflow takes (letters, digits, _ - . / and blanks), {text!r}"
    return ""


def wrong_names(
    factors: Mapping[str, Sequence[str]], profiles: Iterable[str], metrics: Sequence[str]
) -> Iterator[Problem]:
    """Yield what of a study cannot be called as it is, with its key in the file."""
    keys: dict[str, str] = {}
    for name, levels in factors.items():
        if said := wrong_factor(name):
            yield ("factors", name), said
        if (other := keys.setdefault(key_of(name), name)) != name:
            said = f"MLflow would have one name for it and for {other!r}; rename one of them"
            yield ("factors", name), said
        for level in levels:
            if said := wrong_text(level):
                yield ("factors", name, "levels"), f"level {level!r}: {said}"
    for name in profiles:
        if said := wrong_file(name):
            yield ("profiles", name), said
    for index, name in enumerate(metrics):
        if said := wrong_metric(name):
            yield (("metrics", index - 1) if index else ("metric",)), said


def key_of(name: str) -> str:
    """Return the key under which MLflow keeps a factor: its name, with _ for what it refuses."""
    return name if KEY.fullmatch(name) and not re.search(r"[/.]", name) else _WORD.sub("_", name)
