"""One call is a line of steps: each is taken once, in order, and the store is read once."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import yaml

from ablation_lab.errors import ConfigurationError
from ablation_lab.runner.composition import compose
from ablation_lab.runner.configuration import Invocation, read
from ablation_lab.runner.planning import find_missing
from ablation_lab.runner.results import Results
from ablation_lab.runner.session import carry_out, declare_studies, read_store
from ablation_lab.store.runs import stored_runs
from ablation_lab.study.metric import Direction, Metric
from ablation_lab.study.project import open_project
from tests.cli.lab import STUDY

STEPS = [
    "session.declare_studies",
    "session.send_first",
    "session.read_store",
    "nuisances.tune",
    "looks.look",
    "planning.find_missing",
    "planning.plan_runs",
    "planning.summary",
    "watcher.planned",
    "train.train",
    "watcher.reporting",
    "session.report",
]
RUNNER = "/ablation_lab/runner/"


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invocation:
    """Return a call for two runs of XOR in a project of its own, without a report."""
    (tmp_path / "conf" / "study").mkdir(parents=True)
    text = yaml.safe_dump({"tiny": STUDY}, sort_keys=False)
    (tmp_path / "conf" / "study" / "tiny.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    project = open_project(tmp_path)
    words = ["study=tiny", "profile=smoke", "reports=null", "engine.workers=1"]
    return read(compose(project, words), project)


class Trace:
    """Which functions of the runner are entered, how often, and by whom; a context manager."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.from_the_line: list[str] = []
        self.store_reads = 0

    def __enter__(self) -> Trace:
        sys.setprofile(self._look)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _look(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call":
            return
        if code.co_name == "stored_runs":
            self.store_reads += 1
        if RUNNER not in code.co_filename or code.co_name.startswith("<"):
            return
        name = f"{Path(code.co_filename).stem}.{code.co_name}"
        self.entered.append(name)
        caller = frame.f_back
        if caller is not None and caller.f_code.co_name == "carry_out":
            self.from_the_line.append(name)


def traced(run: Callable[[], int]) -> Trace:
    with Trace() as trace:
        assert run() == 0
    return trace


def test_a_call_is_a_line_of_steps(call: Invocation) -> None:
    trace = traced(lambda: carry_out(call))
    assert [name for name in trace.from_the_line if name != "configuration.seconds"] == STEPS
    counts = Counter(trace.entered)
    assert {name: counts[name] for name in STEPS} == dict.fromkeys(STEPS, 1)
    assert counts["session.carry_out"] == 1
    # What this call trained is known from training it.
    assert trace.store_reads == 1


def test_with_nothing_missing_the_store_is_read_once_and_no_step_is_left_out(
    call: Invocation, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carry_out(call) == 0
    trace = traced(lambda: carry_out(call))
    assert capsys.readouterr().out.splitlines()[-1].endswith("4 done, nothing to do")
    assert [name for name in trace.from_the_line if name != "configuration.seconds"] == STEPS
    assert trace.store_reads == 1


def test_a_metric_that_no_module_logs_is_said_after_the_first_run(call: Invocation) -> None:
    (study,) = call.studies
    never = Metric(name="never", direction=Direction.MAXIMIZE)
    asking = replace(call, studies=(study.model_copy(update={"metric": never}),))
    line = r"tiny.yaml: width=\w+: metric 'never' is not among what the first run logged; "
    with pytest.raises(ConfigurationError, match=line):
        carry_out(asking)
    assert stored_runs(call.tracking_uri, ["tiny"]) == {"tiny": {}}


def test_runs_are_leased_in_the_order_in_which_they_are_asked_for(call: Invocation) -> None:
    declared = declare_studies(call)
    missing = find_missing(call, declared, read_store(call))
    # Replicates before cells, which is not the order of their leases.
    asked = sorted(missing.wanted, key=lambda run: (-run.replicate, run.cell))
    with Results(call, missing) as results:
        leased, held = results.lease(asked)
    assert (leased, held) == (asked, [])
