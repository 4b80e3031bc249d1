"""Every case, fitted by the lab and by a plain ``pl.Trainer`` in another process."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
import yaml
from mlflow import MlflowClient

from ablation_lab import Study
from ablation_lab.study.run import Role, stream
from tests.cli.lab import clean_environment
from tests.truth.project.truth_modules import Case

PROJECT = Path(__file__).parent / "project"
SEED = 11
BUILT_IN = ("test_accuracy", "test_loss", "test_distance")


@dataclass(frozen=True)
class Fitted:
    """What became of a case: its hooks in order, its values, what it logged.

    ``curves`` are the points of each name, and ``metrics`` the final values.
    """

    told: list[tuple[Any, ...]]
    tested: list[tuple[Any, ...]]
    state: Mapping[str, torch.Tensor]
    curves: Mapping[str, list[tuple[int, float]]]
    metrics: Mapping[str, float]


class Truth:
    """A project with every case, and the same cases without the lab."""

    command = ("ablation_lab", "run", "profile=smoke", "engine.workers=1")

    def __init__(self, folder: Path, cases: Iterable[Case]) -> None:
        self.folder = folder
        self.cases = {case.name: case for case in cases}
        self.studies = studies_of(self.cases.values())
        self.frames: dict[str, Any] = {}
        shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "conf" / "study").mkdir(parents=True)
        (folder / "conf" / "config.yaml").write_text("plugins: [lab_plugin]\n", encoding="utf-8")
        for name, study in self.studies.items():
            text = yaml.safe_dump({name: study}, sort_keys=False)
            (folder / "conf" / "study" / f"{name}.yaml").write_text(text, encoding="utf-8")

    def fit(self) -> None:
        """Fit all cases on both sides at once."""
        plain = self.start("plain", "truth_modules.plain", given=self._seeds())
        lab = self.start("lab", *self.command)
        for process in (plain, lab):
            _, said = process.communicate()
            assert process.returncode == 0, said

    def lab(self, case: Case) -> Fitted:
        """Return what the lab made of a case."""
        study = study_of(case)
        if study not in self.frames:
            frame = Study.load(study, profile="smoke", store=self.uri).frame
            self.frames[study] = frame.set_index("case")
        row = self.frames[study].loc[case.name]
        assert row["status"] == "finished", row["reason"]
        client = MlflowClient(self.uri)
        curves = {
            name: [(at.step, at.value) for at in client.get_metric_history(row["run_id"], name)]
            for name in client.get_run(row["run_id"]).data.metrics
        }
        return self._fitted(case, "lab", curves, row)

    def plain(self, case: Case) -> Fitted:
        """Return what a plain trainer made of it."""
        text = (self.folder / "kept_plain" / f"{case.name}.json").read_text(encoding="utf-8")
        found = json.loads(text)
        curves = {
            name: [(step, value) for step, value in at] for name, at in found["curves"].items()
        }
        return self._fitted(case, "plain", curves, found["metrics"])

    @property
    def uri(self) -> str:
        """The address of the lab's store."""
        return f"sqlite:///{self.folder / 'runs' / 'mlflow.db'}"

    def _fitted(self, case: Case, side: str, curves: Any, metrics: Any) -> Fitted:
        kept = self.folder / f"kept_{side}"
        fit, test = (kept / f"{case.name}.{stage}.pt" for stage in ("fit", "test"))
        fitted = torch.load(fit)
        tested = torch.load(test)["told"][len(fitted["told"]) :] if test.exists() else []
        return Fitted(fitted["told"], tested, fitted["state"], curves, metrics)

    def _seeds(self) -> str:
        streams = {"init": Role.INIT, "fit": Role.DROPOUT, "order": Role.ORDER}
        seeds = {name: stream(SEED, role, 0) for name, role in streams.items()}
        return json.dumps(dict.fromkeys(self.cases, seeds))

    def start(self, side: str, *command: str, given: str = "") -> subprocess.Popen[str]:
        """Start a module of Python in the project, as one of the two sides."""
        kept = self.folder / f"kept_{side}"
        kept.mkdir()
        (self.folder / f"{side}.json").write_text(given, encoding="utf-8")
        environment = clean_environment(self.folder, self.folder)
        environment |= {"TRUTH_KEPT": str(kept), "OMP_NUM_THREADS": "1"}
        with (self.folder / f"{side}.json").open(encoding="utf-8") as words:
            return subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=self.folder,
                env=environment,
                stdin=words,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )


def study_of(case: Case) -> str:
    """Return the name of the study that trains a case: those of a file that one metric measures."""
    return f"{case.theme}_{case.metric}"


def studies_of(cases: Iterable[Case]) -> dict[str, Any]:
    """Return the declarations that train the cases."""
    ordered = sorted(cases, key=study_of)
    return {name: _study(name, list(same)) for name, same in groupby(ordered, key=study_of)}


def _study(name: str, cases: list[Case]) -> dict[str, Any]:
    metric: Any = cases[0].metric
    if metric not in BUILT_IN:
        metric = {"name": metric, "direction": "maximize"}
    return {
        "title": name,
        "question": "Does the lab train it as a plain trainer does?",
        "source": "the modules of this project",
        "metric": metric,
        "seed": SEED,
        "run": {"optimizer": {"name": "sgd"}},
        "factors": {"case": {"levels": {case.name: _settings(case) for case in cases}}},
        "profiles": {"smoke": {"replicates": 1}},
    }


def _settings(case: Case) -> dict[str, Any]:
    length = {"steps": case.steps} if case.steps else {"epochs": case.epochs}
    size = {} if case.source else {"batch_size": case.batch_size}
    more: dict[str, Any] = {"trainer": dict(case.trainer)} if case.trainer else {}
    more |= {} if case.drop_last else {"drop_last": False}
    return {
        "model": {"family": case.name},
        "data": {"name": f"{case.name}_data" if case.source else case.data},
        "optimizer.learning_rate": case.learning_rate,
        "training": {**length, **size, **more},
    }
