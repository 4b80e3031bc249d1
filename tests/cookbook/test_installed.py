"""The wheel in an environment without this repository: a project from nothing to its report."""

from __future__ import annotations

import os
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.lab import ROOT, clean_environment

LARGEST = 1_000_000  # bytes of the wheel
# Names that a user's repository may well have; each would break whoever imports it by mistake.
COMMON = ("experiments", "analysis", "tests", "utils")


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and the folder in which a test works."""

    script: Path
    folder: Path

    def call(self, *arguments: str, folder: Path | None = None, status: int = 0) -> str:
        """Call ``ablation``; return what it printed."""
        environment = clean_environment(self.folder) | {"LANG": "C", "LC_ALL": "C"}
        environment.pop("PYTHONPATH")
        done = subprocess.run(
            [self.script, *arguments],
            cwd=folder or self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, (done.stdout, done.stderr)
        return done.stdout + done.stderr


@pytest.fixture
def installed(environment: Path, tmp_path: Path) -> Installed:
    return Installed(environment, tmp_path)


def test_the_wheel_is_small_and_holds_the_product_alone(wheel: Path) -> None:
    assert wheel.stat().st_size <= LARGEST
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"ablation_lab", "lightning_modules", *(t for t in tops if "dist-info" in t)}
    shipped = {p.relative_to(ROOT).as_posix() for p in (ROOT / "ablation_lab").rglob("*.*")}
    wanted = {name for name in shipped if not name.endswith((".py", ".pyc"))}
    assert wanted <= set(names)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["empty", "Lab (copy) ü"])
def test_from_an_empty_folder_to_a_report(installed: Installed, name: str) -> None:
    folder = installed.folder / name
    folder.mkdir()
    said = installed.call("new", "demo", folder=folder)
    assert "conf/study/demo.yaml" in said
    project = folder / "demo"
    assert "1 study, 4 cells, 8 runs: 0 done" in installed.call(
        "plan", "profile=smoke", folder=project
    )
    installed.call("run", "profile=smoke", folder=project)
    assert (project / "reports" / "smoke" / "index.html").exists()
    assert (project / "runs" / "mlflow.db").exists()
    again = installed.call("run", "--project", "demo", "profile=smoke", folder=folder)
    assert "8 done, nothing to do" in again
    pages = (project / "reports" / "smoke").glob("*.html")
    said = "".join(page.read_text(encoding="utf-8") for page in pages)
    for word in ("deck", "lecture", "printed value", "not trained", "XOR"):
        assert word not in said
    assert {path.name for path in folder.iterdir()} == {"demo"}
    tests = [str(installed.script.parent / "python"), "-m", "pytest", "-q", "tests"]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run(tests, cwd=project, env=environment | {"PYTHONPATH": "."}, check=True)


@pytest.mark.slow
def test_packages_of_the_users_own_of_any_name_do_no_harm(installed: Installed) -> None:
    installed.call("new", "mine")
    project = installed.folder / "mine"
    for name in COMMON:
        (project / name).mkdir(exist_ok=True)
        (project / name / "__init__.py").write_text("OWN = True\n")
        (project / name / "nets.py").write_text(f"NAME = {name!r}\n")
    plugin = project / "mine.py"
    plugin.write_text(
        "from experiments.nets import NAME\nassert NAME == 'experiments'\n" + plugin.read_text()
    )
    installed.call("run", "profile=smoke", "engine.workers=1", folder=project)
    assert (project / "reports" / "smoke" / "index.html").exists()
