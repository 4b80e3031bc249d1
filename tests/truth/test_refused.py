"""What the lab does not train is refused in one line, before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import forked_call
from tests.cli.lab import Call, refused
from tests.truth.lab import Truth
from tests.truth.project.truth_modules import REFUSED, Case

__all__ = ["forked_call"]


@pytest.mark.parametrize("case", REFUSED.values(), ids=lambda case: case.name)
def test_it_is_refused_before_anything_is_trained(
    forked_call: Call, tmp_path: Path, case: Case
) -> None:
    folder = tmp_path / "project"
    (study,) = Truth(folder, [case]).studies
    outcome = forked_call(folder, "run", "profile=smoke", "engine.workers=1")
    line = refused(outcome, folder)
    assert line.startswith(f"error: study/{study}.yaml")
    assert case.refusal in line
    assert case.name in line
