"""From Hydra's configuration to typed settings: what is asked of this invocation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from omegaconf import DictConfig, OmegaConf
from pydantic import Field

from ablation_lab.engines.contract import EngineSettings
from ablation_lab.engines.registry import read_engine
from ablation_lab.errors import ConfigurationError, nearest
from ablation_lab.study.claims import check_studies, read_ledger, with_claims
from ablation_lab.study.factor import WrittenWhere
from ablation_lab.study.files import CONF, files_of, read_yaml, refuse_directives
from ablation_lab.study.reading import Number, Whole, Written, read_model
from ablation_lab.study.run import Run
from ablation_lab.study.schema import Study, parse_study
from ablation_lab.study.section import Section
from ablation_lab.study.study import Claim


class Now(Written):
    """What of the missing runs this call trains; the rest stays declared, and missing."""

    where: WrittenWhere = Field({})
    replicates: Annotated[Whole, Field(ge=1)] | None = None
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


@dataclass(frozen=True)
class Invocation:
    """One call of ``python -m ablation_lab``, resolved."""

    studies: tuple[Study, ...]
    ledger: tuple[Claim, ...]
    profile: str
    tracking_uri: str
    queue_uri: str
    artifacts: Path | None
    data_root: str | None
    engine: EngineSettings
    plugins: tuple[str, ...]
    adopt: bool
    dry_run: bool
    now: Now
    reports: Path | None

    @property
    def root(self) -> Path | None:
        """The folder of data files, if one is given."""
        return Path(self.data_root) if self.data_root else None

    @property
    def workers_root(self) -> str | None:
        """The same for workers, which may start in another folder."""
        return str(self.root.absolute()) if self.root else None


def read(config: DictConfig) -> Invocation:
    """Check and type the composed configuration.

    Errors: ``ConfigurationError``.
    """
    content = OmegaConf.to_container(config, resolve=True)
    refuse_directives(content, "command line")
    top = Section(content, "config.yaml")
    own = top.take("study_dir", str, None)
    folders = [CONF, Path(own)] if own else [CONF]
    _check_studyfiles_of(folders)
    profile = top.section("profile")
    tracking = top.section("tracking")
    engine = top.section("engine")
    artifacts = tracking.take("artifacts", str, None)
    data = top.section("data")
    ledger = _ledger(folders)
    files = files_of("study", folders)
    studies = [
        parse_study(name, value, files.get(name)) for name, value in top.section("study").items()
    ]
    invocation = Invocation(
        studies=tuple(with_claims(study, ledger) for study in studies),
        ledger=ledger,
        profile=profile.take("name", str),
        tracking_uri=tracking.take("uri", str),
        queue_uri=tracking.take("queue", str),
        artifacts=Path(artifacts) if artifacts else None,
        data_root=data.take("root", str, None),
        engine=read_engine(engine),
        plugins=tuple(str(name) for name in top.take("plugins", list, [])),
        adopt=top.take("adopt", bool, False),
        dry_run=top.take("dry_run", bool, False),
        now=read_model(Now, top.take("now", dict), "config.yaml", at=("now",)),
        reports=_path(top.take("reports", str, None)),
    )
    for section in (top, profile, tracking, engine, data):
        section.close()
    _check_levels(invocation.now.where, invocation.studies)
    return invocation


def _ledger(folders: list[Path]) -> tuple[Claim, ...]:
    """Read the printed claims, and see that each is bound to a study that exists."""
    files = files_of("claims", folders)
    ledger = read_ledger({name: read_yaml(path) for name, path in files.items()})
    check_studies(ledger, files_of("study", folders))
    return ledger


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


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _check_studyfiles_of(folders: list[Path]) -> None:
    """Refuse a study file whose content Hydra would put under another name, or nowhere."""
    for name, path in files_of("study", folders).items():
        # Only its top-level keys: OmegaConf, which reads what is used, takes ten times as long.
        content = read_yaml(path)
        found = list(content) if isinstance(content, Mapping) else content
        if found != [name]:
            raise ConfigurationError(
                f"{path}: expected one top-level key, {name!r}, as the file is called; "
                f"found {found!r}"
            )
