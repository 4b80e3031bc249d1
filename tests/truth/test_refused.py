"""What the lab does not train is refused in one line, before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.lab import ended, refused
from tests.truth.lab import Truth
from tests.truth.project.truth_modules import REFUSED, Case


@pytest.mark.parametrize("case", REFUSED.values(), ids=lambda case: case.name)
def test_it_is_refused_before_anything_is_trained(tmp_path: Path, case: Case) -> None:
    truth = Truth(tmp_path / "project", [case])
    (study,) = truth.studies
    line = refused(ended(truth.start("lab", *truth.command)), truth.folder)
    assert line.startswith(f"error: study/{study}.yaml")
    assert case.refusal in line
    assert case.name in line
