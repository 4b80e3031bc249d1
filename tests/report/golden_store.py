"""A small store, written through the real client: three studies with everything that goes wrong.

`xor_depth` counts successes (a cell excluded, runs that diverged), `keep_prob` measures accuracy
(a baseline, a skipped cell, failed, running, duplicate and extra runs), `ladder` has printed
values and a cell that never ran. The `paper` profile of `keep_prob` lives in the same
experiments.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from ablation_lab.study.references import ReferenceValue

START = 1_760_000_000_000
STEPS = (1, 3, 10, 30, 100)


@dataclass
class Writer:
    """Writes runs into one store; times and values depend on nothing but the order of calls."""

    uri: str
    artifacts: Path
    clock: int = START
    experiments: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.client = MlflowClient(tracking_uri=self.uri)

    def experiment(self, name: str) -> str:
        """The identifier of an experiment, created at first use."""
        if name not in self.experiments:
            place = (self.artifacts / name).as_uri()
            self.experiments[name] = self.client.create_experiment(name, artifact_location=place)
        return self.experiments[name]

    def declare(self, declaration: dict[str, Any]) -> None:
        """Write the report run of a study and a cell run, which readers must not mix up."""
        experiment = self.experiment(declaration["study"])
        for kind in ("cell", "report"):
            tags = {"ablation.kind": kind, "ablation.profile": declaration["profile"]}
            if kind == "cell":
                tags["ablation.cell"] = declaration["cells"][0]["cell"]
            run = self.client.create_run(experiment, start_time=self._tick(), tags=tags)
            if kind == "report":
                text = json.dumps(declaration)
                self.client.log_text(run.info.run_id, text, "declaration.json")
            self.client.set_terminated(run.info.run_id, end_time=self._tick())

    def run(
        self, declaration: dict[str, Any], cell: str, replicate: int, *, key: str = "",
        metrics: dict[str, float] | None = None, rule: str = "", error: str = "",
        state: str = "FINISHED", device: str = "cpu",
    ) -> str:  # fmt: skip
        """Write one replicate with its curve."""
        study = declaration["study"]
        tags = {
            "ablation.key": key or run_key(declaration, cell, replicate),
            "ablation.study": study,
            "ablation.profile": declaration["profile"],
            "ablation.cell": cell,
            "ablation.replicate": str(replicate),
            "ablation.status": "failed" if error else "finished",
            "ablation.nc_rule": rule,
            "ablation.trainer": "stacked",
            "ablation.provenance": json.dumps({"device": device, "reason": "small"}),
            "ablation.error": error,
        }
        experiment = self.experiment(f"{study}.replicates")
        run = self.client.create_run(experiment, start_time=self._tick(), tags=tags)
        run_id = run.info.run_id
        points = [] if error else curve_points({**(metrics or {}), "nc": float(bool(rule))})
        self.client.log_batch(run_id, points, [Param("some", "param")])
        if state != "RUNNING":
            self.client.set_terminated(run_id, status=state, end_time=self._tick())
        return run_id

    def _tick(self) -> int:
        self.clock += 1_000
        return self.clock


def curve_points(metrics: dict[str, float]) -> list[Metric]:
    """The metrics at the last step, and curves of loss and validation accuracy before it."""
    last = STEPS[-1]
    final = {"steps": float(last), "seconds": 1.5, "parameters": 261.0, **metrics}
    points = [Metric(name, value, START, last) for name, value in final.items()]
    for position, step in enumerate(STEPS[:-1]):
        for name in ("train_loss", "val_accuracy"):
            if name in metrics:
                drift = 1.0 - position / len(STEPS)
                value = metrics[name] + (drift if name == "train_loss" else -drift / 2)
                points.append(Metric(name, value, START, step))
    return points


def run_key(declaration: dict[str, Any], cell: str, replicate: int) -> str:
    """The key of a declared run."""
    return f"{declaration['study']}/{declaration['profile']}/{cell}/{replicate}"


def declaration(
    study: str, profile: str, *, factors: dict[str, list[str]], cells: list[dict[str, Any]],
    replicates: int, metric: str, **changes: Any,
) -> dict[str, Any]:  # fmt: skip
    """The JSON object of a declaration; cells give cell, factors and perhaps skipped."""
    direction = "maximize" if changes.pop("higher_is_better", True) else "minimize"
    share = metric == "success" or metric.endswith("accuracy")
    claims = changes.pop("claims", {})
    made: dict[str, Any] = {
        "study": study, "profile": profile, "title": f"The study {study}",
        "question": f"What does {study} change?", "source": "Deck 2, slide 7",
        "setup": "A small network, trained for 100 steps.",
        "metrics": [
            {"name": metric, "direction": direction, "kind": "share" if share else "plain"}
        ],
        "chance": 0.1, "baseline": None, "selection": "last_epoch",
        "replicates": replicates, "excluded": [],
        "references": {
            cell: [reference(**item).model_dump(mode="json") for item in items]
            for cell, items in claims.items()
        },
        "factors": [
            {"name": name, "role": "scientific", "label": name.replace("_", " "), "levels": levels}
            for name, levels in factors.items()
        ],
        "provenance": {"commit": "abc123", "versions": {"torch": "2.13"}},
    }  # fmt: skip
    made["cells"] = [
        {
            "skipped": None,
            **cell,
            "runs": [
                {"replicate": r, "key": run_key(made, cell["cell"], r)} for r in range(replicates)
            ],
        }
        for cell in cells
    ]
    return {**made, **changes}


def reference(
    claim_id: str = "c", kind: str = "dist", *, printed: float | None = None, **rest: Any
) -> ReferenceValue:
    """A printed value, whose numbers are `values`, or the one that is printed."""
    values = [] if printed is None else [printed]
    return ReferenceValue.model_validate(
        {"claim_id": claim_id, "kind": kind, "about": "", "values": values, **rest}
    )


def grid(factors: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Every combination of levels as a cell."""
    combinations: list[dict[str, str]] = [{}]
    for name, levels in factors.items():
        combinations = [{**c, name: level} for c in combinations for level in levels]
    return [{"cell": cell_name(c), "factors": c} for c in combinations]


def cell_name(factors: dict[str, str]) -> str:
    """The name of a cell."""
    return ",".join(f"{name}={level}" for name, level in factors.items())


def accuracy(value: float) -> dict[str, float]:
    """The metrics of a run with that test accuracy."""
    return {
        "test_accuracy": value, "val_accuracy": value - 0.01, "train_accuracy": 1.0,
        "train_loss": 0.5 - value / 4,
    }  # fmt: skip


def write_xor(writer: Writer) -> None:
    """10 replicates of depth x activation; sigmoid at depth 4 is excluded, relu at 3 diverges."""
    factors = {"depth": ["1", "2", "3", "4"], "activation": ["sigmoid", "relu"]}
    out = {"depth": "4", "activation": "sigmoid"}
    cells = [c for c in grid(factors) if c["factors"] != out]
    made = declaration(
        "xor_depth", "quick", factors=factors, cells=cells, replicates=10, metric="success",
        chance=0.5, layout={"rows": "depth", "columns": ["activation"]},
        excluded=[{"cell": cell_name(out), "factors": out, "reason": "never trains"}],
    )  # fmt: skip
    writer.declare(made)
    for position, cell in enumerate(cells):
        for r in range(10):
            diverged = cell["cell"] == "depth=3,activation=relu" and r < 3
            won = float(r < 1.5 * position and not diverged)
            loss = float("nan") if diverged else 0.7 - 0.6 * won
            metrics = {"success": won, "train_loss": loss}
            rule = "non_finite" if diverged else ""
            writer.run(made, cell["cell"], r, metrics=metrics, rule=rule)


def write_keep_prob(writer: Writer) -> None:
    """10 replicates of keep_prob x architecture, and one of the paper profile beside them."""
    factors = {"keep_prob": ["1.0", "0.7", "0.5"], "architecture": ["wide", "deep_50%"]}
    cells = grid(factors)
    cells[5]["skipped"] = "needs an accelerator & time"
    made = declaration(
        "keep_prob", "quick", factors=factors, cells=cells, replicates=10, metric="test_accuracy",
        baseline=cells[0]["cell"],
        claims={cells[0]["cell"]: [
            {"claim_id": "s2-keep", "printed": 0.95, "kind": "dist", "note": "slide 9"}]},
    )  # fmt: skip
    writer.declare(made)
    noise = np.random.default_rng(1).normal(0, 0.002, size=(6, 10))
    for position, cell in enumerate(cells[:5]):
        for r in range(10):
            name, value = cell["cell"], 0.95 - 0.01 * position + float(noise[position, r])
            if (position, r) == (1, 0):
                writer.run(made, name, r, error="RuntimeError: out of <memory>", state="FAILED")
            elif (position, r) == (1, 1):
                writer.run(made, name, r, metrics=accuracy(value), state="RUNNING")
            elif (position, r) == (1, 2):
                continue
            elif position == 4 and r < 4:
                writer.run(made, name, r, metrics=accuracy(0.11), rule="accuracy_at_chance")
            else:
                writer.run(made, name, r, metrics=accuracy(value))
    writer.run(made, cells[0]["cell"], 0, metrics=accuracy(0.5))
    writer.run(made, "keep_prob=0.1", 0, key="undeclared", metrics=accuracy(0.5))
    paper = declaration("keep_prob", "paper", factors=factors, cells=cells[:1], replicates=1,
                        metric="test_accuracy")  # fmt: skip
    writer.declare(paper)
    writer.run(paper, cells[0]["cell"], 0, metrics=accuracy(0.98))


def write_ladder(writer: Writer) -> None:
    """3 replicates of four systems with printed values; the last never ran."""
    systems = ["softmax", "mlp", "xavier", "dropout"]
    cells = grid({"system": systems})
    claims = {
        cell["cell"]: [{"claim_id": f"s1-{name}", "printed": printed, "kind": kind, "note": ""}]
        for cell, name, printed, kind in zip(
            cells, systems, [0.9, 0.5, None, 0.98], ["dist", "dist", "unspecified", "dist"],
            strict=True,
        )
    }  # fmt: skip
    made = declaration(
        "ladder", "quick", factors={"system": systems}, cells=cells, replicates=3,
        metric="test_accuracy", claims=claims,
    )  # fmt: skip
    writer.declare(made)
    for position, cell in enumerate(cells[:3]):
        for r in range(3):
            writer.run(made, cell["cell"], r, metrics=accuracy(0.9 + 0.02 * position + 0.001 * r))


def write_store(uri: str, artifacts: Path) -> None:
    """All studies."""
    writer = Writer(uri, artifacts)
    for write in (write_xor, write_keep_prob, write_ladder):
        write(writer)
