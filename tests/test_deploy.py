"""What a server is installed with: files that name what exists, and let in who may come in."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from ablation_lab.cli import VERBS

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Containerfile with what they are given."""
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines) if word]


def test_the_image_is_of_pinned_parts_and_runs_as_nobody_special() -> None:
    found = instructions()
    known = {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "STOPSIGNAL"}
    assert {word for word, _ in found} <= known | {"HEALTHCHECK", "ENTRYPOINT", "CMD"}
    for image in (rest.split()[0] for word, rest in found if word == "FROM"):
        assert re.search(r":\d+\.\d+\.\d+-slim", image)
    copied = [rest.split()[:-1] for word, rest in found if word == "COPY" and "--from" not in rest]
    for source in (name for names in copied for name in names):
        assert (ROOT / source).exists(), source
    assert [rest for word, rest in found if word == "USER"] == ["1000"]
    assert any("--require-hashes -r requirements.lock" in rest for word, rest in found)
    assert found[-2:] == [("ENTRYPOINT", '["ablation"]'), ("CMD", '["serve"]')]


def test_the_compose_file_lets_nobody_in_without_a_password() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    lab, store = services["lab"], services["store"]
    assert lab["command"][0] in VERBS
    assert any(word.startswith("allowed_hosts=") for word in lab["command"])
    assert all(port.startswith("127.0.0.1:") for port in lab["ports"])
    assert "ports" not in store
    assert (DEPLOY / lab["build"]["context"] / lab["build"]["dockerfile"]).exists()
    read = {"MLFLOW_TRACKING_URI", "ABLATION_QUEUE"}
    assert lab["environment"].keys() == read
    conf = (ROOT / "ablation_lab" / "conf" / "tracking" / "local.yaml").read_text(encoding="utf-8")
    assert all(name in conf for name in read)
    assert not re.search(r"//\w+:(?!\$)", (DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    text = (DEPLOY / "ablation.service").read_text(encoding="utf-8")
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(text)
    program, verb = unit["Service"]["ExecStart"].split()
    assert verb in VERBS
    # The process of a study is to live on when the service alone is killed.
    assert (unit["Service"]["User"], unit["Service"]["KillMode"]) == ("lab", "process")
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze")
    copy = tmp_path / "ablation.service"
    copy.write_text(text.replace(program, "/bin/true"), encoding="utf-8")
    said = subprocess.run(
        ["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stderr) == (0, "")
