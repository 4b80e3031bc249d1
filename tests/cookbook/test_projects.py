"""The projects of the cookbook, each as its page says, with a kill in the middle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cookbook.projects import COOKBOOK, Cooked, killed_and_called_again

RUNS = {
    "argparse": ("rates", 8),
    "huggingface": ("layers", 4),
    "hydra": ("darts", 8),
    "jax": ("momentum", 4),
    "lightning": ("spiral", 8),
    "shell": ("levels", 6),
    "sklearn": ("forest", 8),
    "xgboost": ("trees", 4),
}


def marked(name: str) -> Any:
    """Return the project as it is tested: one by every run of all tests, the rest on demand."""
    marks = pytest.mark.slow if name == "argparse" else pytest.mark.cookbook
    return pytest.param(name, marks=marks)


@pytest.mark.parametrize("name", [marked(name) for name in RUNS])
def test_a_killed_project_trains_only_the_rest(
    tmp_path: Path, environment: Path, name: str
) -> None:
    study, runs = RUNS[name]
    project = Cooked(tmp_path, name, (environment,))
    killed_and_called_again(project, study, "engine.workers=1", runs=runs)


def test_every_project_is_killed_and_has_its_page() -> None:
    projects = {path.name for path in COOKBOOK.iterdir() if path.is_dir()}
    assert projects == set(RUNS)
    contents = (COOKBOOK / "README.md").read_text(encoding="utf-8")
    for name, (study, _) in RUNS.items():
        assert f"]({name}/README.md)" in contents
        page = (COOKBOOK / name / "README.md").read_text(encoding="utf-8")
        assert f"(conf/study/{study}.yaml)" in page
