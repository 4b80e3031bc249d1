"""From Hydra's configuration to typed settings: what is asked of this invocation."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from omegaconf import DictConfig, OmegaConf
from pydantic import BeforeValidator, Field

from ablation_lab.engines import read_engine
from ablation_lab.engines.contract import EngineSettings
from ablation_lab.errors import ConfigurationError, keep_secret, nearest
from ablation_lab.runner.watcher import Watcher
from ablation_lab.store.connect import given_path
from ablation_lab.study.command import Command
from ablation_lab.study.factor import WrittenWhere, within
from ablation_lab.study.files import files_of, read_study, read_yaml, refuse_directives
from ablation_lab.study.names import Language
from ablation_lab.study.project import Listed, Project, catalogue
from ablation_lab.study.reading import Count, Number, Written, read_model
from ablation_lab.study.references import ReferenceValue, bind, read_references, with_references
from ablation_lab.study.run import Run
from ablation_lab.study.schema import Study, parse_study

# In a command, all that is in ${…} is for its runs, but for the environment's.
INTERPOLATION = re.compile(r"\$\{(?!\s*oc\.env:)")


Price = Annotated[Number, Field(ge=0)] | None


class Now(Written):
    """What of the missing runs this call trains; the rest stays declared, and missing."""

    where: WrittenWhere = Field({})
    replicates: Count | None = None
    minutes: Annotated[Number, Field(ge=0)] | None = None

    @property
    def seconds(self) -> float:
        """How long this call hands out work."""
        return math.inf if self.minutes is None else 60 * self.minutes

    def wants(self, run: Run) -> bool:
        """Whether a run is to be trained now; a factor that a cell does not have is no matter.

        In no time nothing is: such a call starts no worker and needs no data.
        """
        if self.minutes == 0:
            return False
        few = self.replicates is None or run.replicate < self.replicates
        return few and self.wants_cell(run.factors)

    def wants_cell(self, factors: Mapping[str, str]) -> bool:
        """Whether anything of a cell with these levels is to be trained now."""
        return all(factors.get(name, labels[0]) in labels for name, labels in self.where.items())


def _place(given: object) -> object:
    return given_path(given) if isinstance(given, str) and given else given or None


Place = Annotated[Path | None, BeforeValidator(_place)]


class Tracking(Written):
    """Where runs are kept: ``conf/tracking/NAME.yaml``."""

    uri: str
    queue: str
    artifacts: Place = None


class DataFolder(Written):
    """Where files of data lie."""

    root: str | None = None


class Rates(Written):
    """What an hour of a core or a card costs, and a kilowatt-hour, in a currency of one's own."""

    per_cpu_hour: Price = None
    per_gpu_hour: Price = None
    per_kwh: Price = None
    currency: str = ""

    @property
    def declared(self) -> dict[str, Any]:
        """Those that are given."""
        return self.model_dump(exclude_defaults=True)


class Report(Written):
    """How a report is written."""

    language: Language = Language.ENGLISH


class Call(Written):
    """The composed configuration of a call; what it has of studies and engines is read apart."""

    study: dict[str, Any]
    profile: str
    tracking: Tracking
    engine: dict[str, Any]
    data: DataFolder
    now: Now
    overrides: dict[str, dict[str, Any]] = Field({})
    reports: Place = None
    report: Report = Report()
    cost: Rates = Rates()
    notify: dict[str, Any] = Field({})


@dataclass(frozen=True)
class Invocation:
    """One call, resolved.

    ``conf`` is the project's; ``named`` are the studies that the project trains when a call names
    none, in its order; ``watcher`` is told how the call goes.
    """

    studies: tuple[Study, ...]
    references: tuple[ReferenceValue, ...]
    profile: str
    tracking_uri: str
    queue_uri: str
    artifacts: Path | None
    data_root: str | None
    engine: EngineSettings
    plugins: tuple[str, ...]
    now: Now
    reports: Path | None
    conf: Path
    named: tuple[str, ...]
    rates: Rates = field(default_factory=Rates)
    language: Language = Language.ENGLISH
    watcher: Watcher = field(default_factory=Watcher)

    @property
    def listed(self) -> tuple[Listed, ...] | None:
        """All studies of the project, of which the report tells where the call covers those named.

        Else none: a report on chosen studies is silent about all others.
        """
        covers = {study.name for study in self.studies} >= set(self.named)
        return catalogue(self.profile, [self.conf]) if covers else None

    @property
    def root(self) -> Path | None:
        """The folder of data files, if one is given."""
        return given_path(self.data_root) if self.data_root else None

    @property
    def workers_root(self) -> str | None:
        """The same for workers, which may start in another folder."""
        return str(self.root.absolute()) if self.root else None


def read(config: DictConfig, project: Project) -> Invocation:
    """Check and type the composed configuration of a call in a project.

    Errors: ``ConfigurationError``.
    """
    asked = settings_of(config)
    folders = [project.conf]
    files = files_of("study", folders) | {path.stem: path for path in project.beside}
    # Not through OmegaConf, which reads what is used: it takes ten times as long.
    contents = {name: {name: read_study(path)} for name, path in files.items()}
    references = _references(folders, contents)
    studies = [parse_study(name, value, files.get(name)) for name, value in asked.study.items()]
    overrides = _overrides(asked.overrides, studies)
    of_call = [study.model_copy(update={"of_call": overrides}) for study in studies]
    invocation = Invocation(
        studies=tuple(with_references(each, references) for each in of_call),
        conf=project.conf,
        named=project.studies,
        references=references,
        profile=asked.profile,
        tracking_uri=asked.tracking.uri,
        queue_uri=asked.tracking.queue,
        artifacts=asked.tracking.artifacts,
        data_root=asked.data.root,
        engine=read_engine(asked.engine),
        plugins=project.plugins,
        now=asked.now,
        reports=asked.reports,
        rates=asked.cost,
        language=asked.report.language,
    )
    _check_levels(invocation.now.where, invocation.studies)
    for study in invocation.studies:
        if study.nuisances:
            _check_tuned(study, invocation.profile)
    return invocation


def settings_of(config: DictConfig) -> Call:
    """Check and type what a call says, but for its studies and its engine.

    Errors: ``ConfigurationError``.
    """
    content = OmegaConf.to_container(_with_literal_commands(config), resolve=True)
    refuse_directives(content, "command line")
    asked = read_model(Call, content, "config.yaml")
    keep_secret(asked.tracking.uri, asked.tracking.queue)
    return asked


def _with_literal_commands(config: DictConfig) -> DictConfig:
    """Have the placeholders of commands reach their studies as they are written."""
    content: Any = OmegaConf.to_container(config, resolve=False)
    runs = [each.get("run") for each in content["study"].values() if isinstance(each, dict)]
    commands = [run for run in runs if isinstance(run, dict) and "command" in run]
    for run in commands:
        run |= {key: _literal(run[key]) for key in Command.known() if key in run}
    return OmegaConf.create(content) if commands else config


def _literal(value: Any) -> Any:
    if isinstance(value, str):
        return INTERPOLATION.sub(r"\\\g<0>", value)
    if isinstance(value, list):
        return [_literal(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _literal(entry) for key, entry in value.items()}
    return value


def _overrides(given: Mapping[str, Mapping[str, Any]], studies: Sequence[Study]) -> dict[str, Any]:
    """Return the settings that the call gives every run: section.key -> value.

    Errors: ``ConfigurationError`` for one that a factor varies, which would undo the factor.
    """
    flat = {
        f"{name}.{key}": value
        for name, settings in given.items()
        for key, value in settings.items()
    }
    for study in studies:
        for factor in (*study.factors, *study.nuisances):
            varied = {key for level in factor.settings.values() for key in level}
            undone = [k for k in flat if within(k, varied) or any(within(v, [k]) for v in varied)]
            if undone:
                raise ConfigurationError(
                    f"command line: {min(undone)}: factor {factor.name!r} of {study.place} sets "
                    "it; choose among its levels with now.where, or leave it out"
                )
    return flat


def _references(folders: list[Path], contents: Mapping[str, object]) -> tuple[ReferenceValue, ...]:
    """Read the reference values, each bound to a study that exists."""
    files = files_of("references", folders)
    values = read_references({name: read_yaml(path) for name, path in files.items()}, files)
    return bind(values, contents)


def _check_tuned(study: Study, profile: str) -> None:
    """Refuse settings that a nuisance factor, whose levels come last, would undo in every run."""
    budget = study.budget(profile)
    run = {f"{name}.{key}": "run" for name, section in study.run.items() for key in section}
    given = run | dict.fromkeys(budget.overrides, f"profiles.{profile}.overrides")
    for entry in budget.adjustments:
        given |= dict.fromkeys(entry.overrides, f"profiles.{profile}.adjustments")
    for factor in study.nuisances:
        varied = {key for level in factor.settings.values() for key in level}
        if key := min((key for key in given if within(key, varied)), default=""):
            raise ConfigurationError(
                f"{study.place}: {given[key]}: {key}: nuisance factor {factor.name!r} sets it in "
                "every run, so that it would do nothing; leave it out, or make it a level"
            )


def _check_levels(where: Mapping[str, tuple[str, ...]], studies: tuple[Study, ...]) -> None:
    """Refuse a factor or level that none of the studies has: it would select nothing, or all."""
    known: dict[str, list[str]] = {}
    for factor in (factor for study in studies for factor in study.factors):
        known.setdefault(factor.name, []).extend(factor.levels)
    for name, labels in where.items():
        place = "config.yaml: now.where"
        if name not in known:
            raise ConfigurationError(f"{place}: unknown factor {name!r}; {nearest(name, known)}")
        for label in labels:
            if label not in known[name]:
                raise ConfigurationError(
                    f"{place}.{name}: unknown level {label!r}; {nearest(label, known[name])}"
                )
