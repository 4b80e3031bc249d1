"""Giving stored runs the keys of today's code, in two ways.

A changed training step gives runs another key, and so does a step that was only written in another
way. ``ablation rekey`` tells the two apart by trying: of every cell whose runs are missing under
their key while the store has finished ones with the same configuration, the latest is trained
again, for an epoch if it is a long one. If every point that both curves have agrees, the cell's
runs get today's key; if not, they are trained anew like any other missing run. Ensembles go with
their members, of which they are a fixed function.

For a change that is known to compute the same, such as another way to take keys, the keys of all
declared runs are written down before it and after, and runs go from one to the other.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablation_lab.engines.contract import Engine
from ablation_lab.errors import ConfigurationError
from ablation_lab.output import say
from ablation_lab.runner.configuration import Invocation
from ablation_lab.runner.nuisances import with_choices
from ablation_lab.runner.planning import cell_of, count, find_missing, groups
from ablation_lab.runner.session import declare_studies, read_store
from ablation_lab.runner.verifying import verify_data
from ablation_lab.store.places import validate_readable
from ablation_lab.study.declare import declare
from ablation_lab.study.files import files_of, read_study
from ablation_lab.study.key import content
from ablation_lab.study.record import Curve
from ablation_lab.study.run import Run, Stack
from ablation_lab.study.schema import parse_study
from ablation_lab.training.cost import estimate
from ablation_lab.training.execute import execute
from ablation_lab.training.plan import estimated, plan

if TYPE_CHECKING:
    from ablation_lab.store.keys import Archive, CarriedOver, Trained

MORE = """\
Runs whose code changed have another key, and count as missing. This gives those that the store has
today's key, where that is right:
  ablation rekey              train one run of each such cell again; the cell's runs get today's
                              key if its curves come out the same
  ablation rekey keys=FILE    write down the keys of all declared runs: at the commit before a
                              change that is known to compute the same
  ablation rekey from=FILE    carry the runs over from those keys: at the commit after it; the
                              store must be a database, not an MLflow server
"""
# One machine computes the same float32 numbers again; this is for how they are written down.
# Another processor rounds otherwise, which an epoch makes visible: so the latest run is tried.
TOLERANCE = 1e-6
# A run that takes longer, in seconds, is tried for one epoch only.
SHORT = 10.0
CURVES = ("train_loss", "val_accuracy", "val_loss")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Say more of a verb that has no options."""
    parser.epilog = MORE


@dataclass(frozen=True)
class Candidate:
    """A declared run that is missing, and the stored one that is the same but for its key."""

    run: Run
    stored: Trained


@dataclass(frozen=True)
class Outcome:
    """What became of the candidates of one cell: they have today's keys, or the reason why not."""

    candidates: tuple[Candidate, ...]
    difference: str

    @property
    def line(self) -> str:
        """Say it in one line."""
        run, count = self.candidates[0].run, len(self.candidates)
        what = f"{run.study} {run.cell}: {count} run{'s' if count > 1 else ''}"
        stays = f"not rekeyed: {what}: {self.difference}"
        return stays if self.difference else f"rekeyed: {what}"


def rekey(call: Invocation) -> int:
    """Try the missing runs of a call that the store has from earlier code; say what became."""
    validate_readable(call.tracking_uri)
    declared = with_choices(call, declare_studies(call))
    missing = find_missing(call, declared, read_store(call)).wanted
    # A check is computed at once.
    runs = [run for run in missing if run.trains]
    if not runs:
        say("nothing is missing, so there is nothing to rekey")
        return 0
    from ablation_lab.store.keys import Archive

    archive = Archive(call.tracking_uri)
    found = list(candidates(runs, archive))
    say(f"{count(len(runs), 'run')} missing, of which the store has {len(found)} by another key")
    if not found:
        return 0
    verify_data(call, [each.run for each in found])
    with call.engine.start(call.plugins) as engine:
        outcomes = try_again(
            found, archive, engine, data_root=call.workers_root, plugins=call.plugins
        )
        for outcome in outcomes:
            say(outcome.line)
    return 0


def try_again(
    found: Sequence[Candidate],
    archive: Archive,
    engine: Engine,
    *,
    data_root: str | None,
    plugins: tuple[str, ...],
) -> Iterator[Outcome]:
    """Try every cell that has candidates; give those that agree their key; yield what became."""
    cells = groups((e for e in found if not e.run.is_ensemble), lambda each: cell_of(each.run))
    probes: dict[tuple[str, str], Stack] = {}
    today: dict[str, str] = {}
    for group in cells.values():
        probe = replace(group[-1].run, config=shortened(group[-1].run.config))
        (stack,) = plan([probe], data_root=data_root, plugins=plugins)
        probes[cell_of(probe)] = stack
    for done in engine.map(execute, probes.values(), cost=estimated):
        group = cells[cell_of(done.job.runs[0])]
        difference = done.error or _difference(done.job, done.result, group[-1].stored, archive)
        if not difference:
            today |= _rename(group, archive)
        yield Outcome(tuple(group), difference)
    ensembles = groups((e for e in found if e.run.is_ensemble), lambda each: cell_of(each.run))
    for group in ensembles.values():
        agreed = [e for e in group if tuple(map(today.get, e.stored.members)) == e.run.members]
        _rename(agreed, archive)
        if agreed:
            yield Outcome(tuple(agreed), "")


def candidates(missing: Iterable[Run], archive: Archive) -> Iterator[Candidate]:
    """Yield the missing runs that the store has under another key."""
    for study, own in groups(missing, lambda run: run.study).items():
        wanted = {(_text(run.config), run.replicate): run for run in own}
        for stored in archive.finished(study):
            run = wanted.pop((_text(stored.config), stored.replicate), None)
            if run is not None:
                yield Candidate(run, stored)


def shortened(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration for one epoch, if a whole run is a long one."""
    training = config["training"]
    if training["epochs"] is None or estimate(config, runs=1) <= SHORT:
        return dict(config)
    return {**config, "training": {**training, "epochs": 1}}


def disagreement(now: Mapping[str, Curve], before: Mapping[str, Curve]) -> str:
    """Return the first point at which two runs differ, or ''; no common point is a difference."""
    compared = 0
    for name in CURVES:
        old = dict(before.get(name, ()))
        for step, value in now.get(name, ()):
            if step in old:
                compared += 1
                both_lost = math.isnan(value) and math.isnan(old[step])
                if not (both_lost or math.isclose(value, old[step], rel_tol=TOLERANCE)):
                    return f"{name} at step {step} was {old[step]:.9g}, is now {value:.9g}"
    return "" if compared else "the curves have no step in common"


def _rename(group: Iterable[Candidate], archive: Archive) -> dict[str, str]:
    """Give stored runs today's keys; return key before → key of today."""
    renamed = {}
    for each in group:
        archive.rename(each.stored.run_id, key=each.run.key, before=each.stored.key)
        renamed[each.stored.key] = each.run.key
    return renamed


def _difference(job: Stack, records: Any, stored: Trained, archive: Archive) -> str:
    (record,) = records
    if record.error:
        return f"trained anew, it fails: {record.reason}"
    before = {name: archive.curve(stored.run_id, name) for name in record.curves}
    return disagreement(record.curves, before)


def _text(config: Mapping[str, Any]) -> str:
    return json.dumps(content(config), sort_keys=True)


def by_files(call: Invocation, given: Mapping[str, str]) -> int:
    """Write the keys of all declared runs down, or carry stored runs over from such a file."""
    now = listing([call.conf])
    if "keys" in given:
        Path(given["keys"]).write_text(json.dumps(now, indent=0), encoding="utf-8")
        say(f"{len(now)} runs: {given['keys']}")
    if "from" in given:
        say(carry(keys_of(Path(given["from"])), now, call.tracking_uri).line)
    return 0


def listing(folders: Sequence[Path], profiles: Sequence[str] = ()) -> dict[str, str]:
    """Return ``study|profile|cell|replicate`` -> key for every run that the folders declare.

    Nuisance factors have their first levels: what tuning chose is no part of a declaration.
    """
    keys = {}
    for name, path in sorted(files_of("study", list(folders)).items()):
        study = parse_study(name, read_study(path), path)
        for profile in profiles or study.budgets:
            for run in declare(study, profile).runs:
                keys[f"{name}|{profile}|{run.cell}|{run.replicate}"] = run.key
    return keys


def keys_of(path: Path) -> dict[str, str]:
    """Read keys that were written down.

    Errors: ``ConfigurationError``.
    """
    try:
        keys = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"rekey: from={path}: cannot be read: {error}") from None
    if not isinstance(keys, dict):
        raise ConfigurationError(f"rekey: from={path}: expected keys of runs, found {keys!r:.80}")
    return keys


def carry(before: Mapping[str, str], now: Mapping[str, str], uri: str) -> CarriedOver:
    """Give the runs of a store today's keys: of what was declared before, and is declared now.

    Errors: ``ConfigurationError`` if one key would become several; ``StoreError``.
    """
    from ablation_lab.store.keys import carry_over

    keys: dict[str, str] = {}
    for place, key in before.items():
        if place in now and keys.setdefault(key, now[place]) != now[place]:
            raise ConfigurationError(
                f"{place}: key {key} was that of another run too, whose key is now "
                f"{keys[key]} and not {now[place]}; one run cannot become two"
            )
    return carry_over(uri, keys)
