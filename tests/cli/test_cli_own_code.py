"""Code of a user's own that raises: one line with its place, and every other cell goes on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ablation_lab.report.cautions import problems
from ablation_lab.report.study import load
from tests.cli.lab import ONE_WORKER, Call, Lab, Outcome, ended, refused

PLUGIN = '''
import ctypes
import os
import sys
import time

import pytorch_lightning as pl
import torch
from ablation_lab import family, metric
from torch import nn
from torch.utils.data import DataLoader


class Odd(Exception):
    """Neither its text nor itself can travel."""

    def __init__(self, a, b):
        self.trap = lambda: a

    def __str__(self):
        raise ValueError("no text")


class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        raise KeyError(f"row {index}")


@family("nets")
class Net(pl.LightningModule):
    def __init__(self, *, input_shape, classes, fault="none", **_):
        super().__init__()
        self.fault = fault
        self.body = nn.Linear(torch.Size(input_shape).numel(), classes)
        if fault == "init":
            raise RuntimeError("first line\\nsecond line")  # INIT
        if fault == "value":
            raise ValueError("width must be even")  # VALUE

    def forward(self, x):
        if self.fault == "forward":
            return nn.Linear(3, 1)(x.flatten(1))  # FORWARD
        return self.body(x.flatten(1)) * (self.fault != "constant")

    def training_step(self, batch, batch_idx):
        x, y = batch
        if self.fault == "step":
            raise Odd(1, 2)  # STEP
        if self.fault == "group":
            raise ExceptionGroup("several", [ValueError("one")])  # GROUP
        if self.fault == "exit":
            sys.exit("enough")  # EXIT
        if self.fault == "crash":
            ctypes.string_at(0)  # CRASH
        if self.fault == "gone":
            os._exit(3)
        return nn.functional.cross_entropy(self(x), y)

    def configure_optimizers(self):
        if self.fault == "optimizers":
            raise AssertionError  # OPTIMIZERS
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def on_fit_start(self):
        if self.fault == "loader":
            next(iter(DataLoader(Rows(), num_workers=1)))  # LOADER


@family("clocked")
class Clocked(Net):
    def training_step(self, batch, batch_idx):
        return super().training_step(batch, batch_idx) * (1 + time.perf_counter() % 1)


@metric("spread", direction="maximize")
def spread(outputs, targets):
    return 1 / int(outputs.std() > 0)  # METRIC
'''

# Of each level the line of the plug-in, the function, what was tried, and what it says.
FAULTS = {
    "init": ("INIT", "__init__", "building it", "RuntimeError: first line"),
    "value": ("VALUE", "__init__", "building it", "ValueError: width must be even"),
    "forward": ("FORWARD", "forward", "training it", "RuntimeError: mat1 and mat2 shapes"),
    "step": ("STEP", "training_step", "training it", "Odd"),
    "group": ("GROUP", "training_step", "training it", "ExceptionGroup: several (1 sub-"),
    "exit": ("EXIT", "training_step", "training it", "SystemExit: enough"),
    "optimizers": ("OPTIMIZERS", "configure_optimizers", "training it", "AssertionError"),
    "constant": ("METRIC", "spread", "computing metric 'spread'", "ZeroDivisionError: division"),
    "crash": ("CRASH", "training_step", "", "Fatal Python error: Segmentation fault: the worker "),
    "gone": ("", "", "", "the worker process died twice"),
}
LOADER = "raise KeyError(f"
STUDY: dict[str, Any] = {
    "title": "Networks that raise",
    "question": "Is each one named with its place?",
    "source": "a test",
    "metrics": ["test_accuracy", "spread"],
    "run": {
        "model": {"family": "nets"},
        "data": {"name": "digits", "train_size": 20},
        "optimizer": {"name": "sgd", "learning_rate": 0.1},
        "training": {"epochs": 1, "batch_size": 10},
    },
    "factors": {"fault": {"key": "model.fault", "levels": ["none", *FAULTS, "loader"]}},
    "profiles": {"smoke": {"replicates": 1}},
}
CLOCKED = {
    **STUDY,
    "run": {**STUDY["run"], "model": {"family": "clocked"}},
    "factors": {"l2": {"key": "training.l2", "levels": [0, 1]}},
}
UNLIKE = "family 'clocked' is not repeatable: the loss of step 1 is another when all is done again"


def line_of(text: str) -> int:
    (number,) = [n for n, line in enumerate(PLUGIN.splitlines(), 1) if text in line]
    return number


@pytest.fixture(scope="module")
def called(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, Outcome]:
    """Return a lab in which every network was tried, and how the call ended."""
    lab = Lab(tmp_path_factory.mktemp("own code"))
    (lab.folder / "nets.py").write_text(PLUGIN, encoding="utf-8")
    lab.declare("raising", STUDY)
    lab.declare("clocked", CLOCKED)
    words = ("study=[raising,clocked]", "plugins=[nets]", "reports=null", ONE_WORKER)
    return lab, ended(lab.start(*words))


def said_of(outcome: Outcome, level: str) -> str:
    (line,) = [
        line
        for line in outcome.err.splitlines()
        if line.startswith(f"failed: raising fault={level} ")
    ]
    return line


def test_every_other_cell_goes_on_and_the_status_is_1(called: tuple[Lab, Outcome]) -> None:
    lab, outcome = called
    assert outcome.status == 1, outcome.err
    assert len(outcome.err.splitlines()) == len(FAULTS) + 1
    status = {run.cell.removeprefix("fault="): run.status for run in lab.runs("raising")}
    assert status == {"none": "FINISHED", "loader": "FAILED", **dict.fromkeys(FAULTS, "FAILED")}


def test_a_module_that_is_not_repeatable_is_said_so(called: tuple[Lab, Outcome]) -> None:
    lab, outcome = called
    (line,) = [each for each in outcome.out.splitlines() if each.startswith("note: ")]
    assert line.startswith(f"note: {UNLIKE}")
    said = {each.name: "\n".join(problems(each)) for each in load(lab.uri, "smoke")}
    assert UNLIKE in said["clocked"]
    assert "repeatable" not in said["raising"]


def test_a_plan_says_it_before(forked_call: Call, tmp_path: Path) -> None:
    (tmp_path / "conf" / "study").mkdir(parents=True)
    (tmp_path / "nets.py").write_text(PLUGIN, encoding="utf-8")
    for name, study in (("clocked", CLOCKED), ("raising", STUDY)):
        text = yaml.safe_dump({name: study})
        (tmp_path / "conf" / "study" / f"{name}.yaml").write_text(text, encoding="utf-8")
    outcome = forked_call(tmp_path, "plan", "plugins=[nets]", "profile=smoke")
    (line,) = [each for each in outcome.out.splitlines() if each.startswith("note: ")]
    assert line.startswith(f"note: {UNLIKE}")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("level", FAULTS)
def test_one_line_names_place_and_what_was_tried(called: tuple[Lab, Outcome], level: str) -> None:
    lab, outcome = called
    mark, function, tried, said = FAULTS[level]
    what = f", {tried}" if tried else ""
    place = f" (nets.py:{line_of(f'# {mark}')} in {function})" if mark else ""
    line = said_of(outcome, level)
    lead = f"failed: raising fault={level} replicate 0: family 'nets'{what}{place}: {said}"
    assert line.startswith(lead), line
    found = re.search(r"\(traceback: (\S+)\)$", line)
    assert found
    assert (lab.folder / found[1]).read_text(encoding="utf-8").strip()


def test_what_a_loaders_process_raised_has_its_own_place(called: tuple[Lab, Outcome]) -> None:
    line = said_of(called[1], "loader")
    assert f"(nets.py:{line_of(LOADER)} in __getitem__): KeyError: 'row 0'" in line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("import json\njson.loads('{')\n", "JSONDecodeError: Expecting property name enclosed in "),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
        ("1 +\n", "SyntaxError: invalid syntax (nets.py, line 1)"),
        ("class E(Exception):\n    def __str__(self): raise ValueError\nraise E\n", ": E"),
        ("import nowhere_at_all\n", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        (
            "from ablation_lab import family\n@family('mlp')\nclass A: pass\n",
            "lightning_modules/mlp",
        ),
        (
            "from ablation_lab import metric\n"
            + 2 * "@metric('mine', direction='minimize')\ndef a(x, y): pass\n",
            "metric 'mine' is registered twice: at ",
        ),
    ],
)
def test_a_plug_in_that_cannot_be_imported_is_one_line(
    forked_call: Call, tmp_path: Path, text: str, line: str
) -> None:
    (tmp_path / "conf" / "study").mkdir(parents=True)
    (tmp_path / "nets.py").write_text(text, encoding="utf-8")
    said = refused(forked_call(tmp_path, "plan", "plugins=[nets]"), tmp_path)
    assert said.startswith("error: plugins: 'nets' cannot be imported")
    assert line in said
    if "Syntax" not in line:
        assert re.search(r" \(nets.py:[1-4] in <module>\)", said)
