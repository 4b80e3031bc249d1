"""The same study on every engine: the same numbers, to the last digit, from start to report."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.cli.lab import Lab

STUDIES = ("study=[width,my_study]", "engine.workers=2")
ENGINES = {
    "local": (),
    "ray": ("engine=ray", "engine.address=null"),
    "slurm": ("engine=slurm", "engine.executor=local"),
}
# What differs between any two calls.
OF_THE_CALL = ["run_id", "seconds", "cpu_seconds"]


def numbers(folder: Path, *engine: str) -> dict[str, pd.DataFrame]:
    """Train both studies; return what runs.csv says of each."""
    folder.mkdir()
    lab = Lab(folder)
    outcome = lab.call(*STUDIES, *engine)
    assert outcome.status == 0, outcome.err
    assert "8 of 8 runs finished" in outcome.out
    reports = folder / "reports" / "smoke"
    return {
        study: pd.read_csv(reports / study / "runs.csv").drop(columns=OF_THE_CALL)
        for study in ("width", "my_study")
    }


@pytest.mark.slow
def test_a_study_gives_the_same_numbers_on_every_engine(tmp_path: Path) -> None:
    found = {name: numbers(tmp_path / name, *engine) for name, engine in ENGINES.items()}
    for study, runs in found["local"].items():
        assert len(runs) == 8
        assert set(runs["status"]) == {"finished"}
        for name in ("ray", "slurm"):
            pd.testing.assert_frame_equal(found[name][study], runs, check_exact=True)
