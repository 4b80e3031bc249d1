"""What make calls: every study in the smoke target, tests that share things in one process."""

import os
import re
import subprocess
from pathlib import Path

from tests.conftest import SHARING, group_of

ROOT = Path(__file__).resolve().parent.parent
# Files of locked packages, and how many they have at least.
LOCKED = {
    "requirements.lock": 26,
    "requirements-extras.lock": 26,
    "requirements-cookbook.lock": 16,
}


def test_every_study_is_in_the_smoke_list() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    listed = re.findall(r"^(?:STUDIES|MORE)\s*:= (\S+)$", text, flags=re.MULTILINE)
    names = [name for line in listed for name in line.split(",")]
    assert len(names) == len(set(names))
    studies = {path.stem for path in (ROOT / "conf" / "study").glob("*.yaml")}
    assert studies - set(names) == {"data_facts"}
    assert set(names) <= studies


def test_every_study_with_a_quick_profile_is_one_command_of_it() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    listed = re.findall(r"^(?:STUDIES|TOYS|LECTURES)\s*:= (\S+)$", text, flags=re.MULTILINE)
    names = [name for line in listed for name in line.split(",")]
    assert len(names) == len(set(names))
    declared = (ROOT / "conf" / "study").glob("*.yaml")
    quick = {path.stem for path in declared if re.search(r"^    quick:", path.read_text(), re.M)}
    # It reads real files.
    assert quick - set(names) == {"data_facts"}
    assert set(names) <= quick


def test_caches_of_libraries_lie_in_the_clone() -> None:
    caches = ("MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR")
    rule = f"caches: ; @printenv {' '.join(caches)}"
    found = subprocess.run(
        ["make", "--no-print-directory", f"--eval={rule}", "caches"],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key not in caches},
        capture_output=True,
        text=True,
        check=True,
    )
    places = [Path(line) for line in found.stdout.splitlines()]
    assert len(places) == len(caches)
    assert all(place.is_relative_to(ROOT / "runs" / "cache") for place in places)


def test_every_package_is_locked_with_its_hashes_but_for_torch() -> None:
    for name, least in LOCKED.items():
        text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
        lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
        assert len(lines) >= least
        for requirement, *rest in lines:
            assert re.fullmatch(r"[\w.-]+==[\w.]+", requirement)
            hashes = [word for word in rest if word.startswith("--hash=sha256:")]
            assert hashes, requirement
        assert "torch==" not in {line[0][:7] for line in lines}
    torch = (ROOT / "requirements-torch.lock").read_text(encoding="utf-8")
    assert re.fullmatch(r"torch==[\d.]+\n", torch)


def test_tests_that_share_costly_things_run_in_one_process() -> None:
    for name in SHARING:
        assert list((ROOT / "tests").glob(f"{name}*")), f"no test is in tests/{name}"
    assert group_of("tests/cli/test_verbs.py::test_a[x]") == "tests/cli"
    assert group_of("tests/store/test_postgres.py::test_a") == "tests/store/test_postgres"
    assert group_of("tests/study/test_asks.py::test_a") == "tests/study/test_asks.py::test_a"
