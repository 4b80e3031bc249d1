"""One call as a line of steps: declared → tuned → asked → missing → planned → trained → reported.

Each step is a function of frozen values of the steps before it. The store is read once, before the
first run is looked for; what a call adds to it is known from what it trained. The report is written
by a process of its own, where a digest of all that it shows says that it is not current.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from ablation_lab.engines.forking import deaf_to_ctrl_c
from ablation_lab.output import say, warn
from ablation_lab.runner.configuration import Invocation
from ablation_lab.runner.looks import look
from ablation_lab.runner.nuisances import level_by_level, tune, with_choices
from ablation_lab.runner.outlook import outlook_lines
from ablation_lab.runner.planning import (
    Missing,
    Planned,
    Stored,
    find_missing,
    plan_runs,
    summary,
)
from ablation_lab.runner.train import Trained, failures, train
from ablation_lab.runner.verifying import unlike_themselves
from ablation_lab.store.connect import spools
from ablation_lab.store.experiments import validate_experiments
from ablation_lab.store.places import validate_places
from ablation_lab.store.runs import stored_runs
from ablation_lab.store.stamps import code
from ablation_lab.study.declaration import declared_text
from ablation_lab.study.declare import Declared, check_names, declaration_of, declare
from ablation_lab.study.references import references_text

STAMP = ".stamp.json"


def carry_out(call: Invocation) -> int:
    """Train what is missing, write the report if anything in it changed, return the status."""
    until = time.monotonic() + call.now.seconds
    declared = declare_studies(call)
    send_first(call)
    stored = read_store(call)
    tuned = tune(call, declared, until=until)
    asked = look(call, tuned)
    missing = find_missing(call, tuned, stored, asked)
    planned = plan_runs(call, missing)
    say(summary(planned))
    call.watcher.planned(planned)
    trained = train(call, planned, until=until)
    call.watcher.reporting()
    return report(call, missing, trained)


def say_plan(call: Invocation) -> int:
    """Say what a call would do, and which modules are not repeatable; nothing is written."""
    planned = plan_of(call)
    for line in (summary(planned), *outlook_lines(call, planned)):
        say(line)
    for line in unlike_themselves(planned.stacks).values():
        say(f"note: {line}")
    return 0


def plan_lines(call: Invocation) -> Iterator[str]:
    """Yield what a call would do, one line for each thing to know; nothing is started."""
    planned = plan_of(call)
    yield summary(planned)
    yield from outlook_lines(call, planned)


def plan_of(call: Invocation) -> Planned:
    """Return what a call would do."""
    declared = declare_studies(call)
    stored = read_store(call)
    chosen = with_choices(call, declared)
    asked = look(call, chosen)
    missing = find_missing(call, chosen, stored, asked, also_untuned=True)
    return plan_runs(call, missing)


def declare_studies(call: Invocation) -> tuple[Declared, ...]:
    """Enumerate the runs of all studies; refuse a name in them that nobody registered."""
    declared = tuple(declare(study, call.profile) for study in call.studies)
    for entry in declared:
        check_names(entry)
        check_names(replace(entry, cells=tuple(level_by_level(call, entry))))
    return declared


def send_first(call: Invocation) -> None:
    """Send what calls have left that ended before the store had it."""
    if spools(call.tracking_uri, call.queue_uri):
        from ablation_lab.runner.delivery import send_what_was_left

        send_what_was_left(call)


def read_store(call: Invocation) -> Stored:
    """Return what the store has of the studies now."""
    names = [study.name for study in call.studies]
    found = stored_runs(call.tracking_uri, names)
    validate_experiments(call.tracking_uri, names)
    return Stored(found)


def report(call: Invocation, missing: Missing, trained: Trained) -> int:
    """Say what failed, and have the report show what the store has; return the exit status."""
    for line in failures(trained.failed):
        warn(line)
    if call.reports is None:
        return trained.status
    folder = call.reports / call.profile
    digests = {entry.study.name: _digest(call, entry, trained.stored) for entry in missing.declared}
    stamps = _stamps(folder)
    gone = stamps.keys() - _held(folder)  # of which the index would tell all the same
    if not (folder / "index.html").exists() or digests.items() - stamps.items() or gone:
        validate_places(call)
        if not missing.wanted:
            _keep_declarations(call, missing)
        if not _write(call, list(digests)):
            return trained.status or 1
        stamps = {name: stamps[name] for name in stamps if name not in gone}
        text = json.dumps({**stamps, **digests}, sort_keys=True, indent=1)
        (folder / STAMP).write_text(text, encoding="utf-8")
    say(f"report: {folder / 'index.html'}")
    return trained.status


def _keep_declarations(call: Invocation, missing: Missing) -> None:
    from ablation_lab.runner.declaring import keep_declarations

    keep_declarations(call, missing.declared)


def _write(call: Invocation, studies: list[str]) -> bool:
    """Write the report of these studies; return whether it worked."""
    command = [sys.executable, "-m", "ablation_lab.report", "--publish"]
    command += ["--profile", call.profile, "--reports", str(call.reports)]
    command += ["--language", call.language]
    # Here, where the plug-ins are that give names in declarations a meaning.
    listed = call.listed
    command += ["--listed"] if listed is not None else []
    command += ["--order", *call.named]
    # By the environment, where other users of the machine do not see a password.
    environment = os.environ | {"MLFLOW_TRACKING_URI": call.tracking_uri}
    with deaf_to_ctrl_c():
        writing = subprocess.Popen(
            [*command, "--studies", *studies], env=environment, stdin=subprocess.PIPE, text=True
        )
    try:
        writing.communicate(json.dumps([asdict(each) for each in listed or ()]))
        return writing.returncode == 0
    finally:
        writing.kill()


def _held(folder: Path) -> set[str]:
    """Return the studies of which a report folder has files."""
    return {path.parent.name for path in folder.glob("*/runs.csv")}


def _stamps(folder: Path) -> dict[str, str]:
    """Return study → digest of what the report in a folder shows of it."""
    try:
        stamps = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none yet, or damaged, so that nobody knows what it shows
        return {}
    return stamps if isinstance(stamps, dict) else {}


def _digest(call: Invocation, entry: Declared, stored: Stored) -> str:
    """Return a digest of all that a report shows of a study, and of the code that writes it."""
    digest = hashlib.sha256(f"{call.tracking_uri} {call.language}".encode())
    digest.update(references_text(call.references).encode())
    digest.update(declared_text(declaration_of(entry, {})).encode())
    digest.update(json.dumps(sorted(stored.runs[entry.study.name].items())).encode())
    digest.update(code().encode())
    return digest.hexdigest()
