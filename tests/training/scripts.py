"""A folder with a script, and a study that runs it, for tests of commands."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from ablation_lab.study.declare import declare
from ablation_lab.study.record import Record
from ablation_lab.study.run import Run, Stack
from ablation_lab.study.schema import parse_study
from ablation_lab.training.execute import execute
from ablation_lab.training.plan import plan

STUDY: dict[str, Any] = {
    "title": "A script",
    "question": "Which rate?",
    "source": "a test",
    "metric": {"name": "acc", "direction": "maximize"},
    "run": {"command": ["python", "train.py", "${lr}", "${out}"]},
    "factors": {"lr": [0.1]},
    "profiles": {"smoke": {"replicates": 1}},
}

# A script that says the rate as its accuracy.
GOOD = 'Path(sys.argv[2], "metrics.json").write_text(json.dumps({"acc": float(sys.argv[1])}))'


class Project:
    """A folder with a script, and a study that runs it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def script(self, text: str, name: str = "train.py") -> None:
        lead = "import json, os, sys, time\nfrom pathlib import Path\n"
        (self.folder / name).write_text(lead + textwrap.dedent(text))

    def runs(self, **run: object) -> tuple[Run, ...]:
        study = parse_study("s", {**STUDY, "run": {**STUDY["run"], **run}})
        path = self.folder / "conf" / "study" / "s.yaml"
        return declare(study.model_copy(update={"path": path}), "smoke").runs

    def stack(self, **run: object) -> Stack:
        (stack,) = plan(self.runs(**run), data_root=None, plugins=(), project=self.folder)
        return stack

    def record(self, **run: object) -> Record:
        (record,) = execute(self.stack(**run))
        return record

    def leaves(self, **files: str) -> Record:
        """Return the record of a script that leaves these files."""
        written = {name.replace("__", "."): text for name, text in files.items()}
        self.script(f"for n, t in {written!r}.items(): Path(sys.argv[2], n).write_text(t)")
        return self.record()
