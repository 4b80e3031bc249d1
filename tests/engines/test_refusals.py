"""An engine that cannot start as asked says so in one line, soon, and starts nothing."""

from __future__ import annotations

import importlib
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ablation_lab.engines import devices, ray_cluster, slurm_queue
from ablation_lab.errors import ConfigurationError
from ablation_lab.training.cost import Accelerators
from tests.engines.lab import settings

Command = Callable[..., None]


def refusal(name: str, **changes: object) -> str:
    """Start an engine that cannot start; return the line."""
    with pytest.raises(ConfigurationError) as error:
        settings(name, **changes).start(())
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return a function that puts a shell script of that name on the path, before all others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def write(name: str, *lines: str) -> None:
        path = folder / name
        path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        path.chmod(0o755)

    return write


@pytest.mark.parametrize(("name", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_missing_package_names_its_extra(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(wanted: str) -> None:
        raise ModuleNotFoundError(f"No module named {wanted!r}", name=wanted)

    monkeypatch.setattr(importlib, "import_module", absent)
    monkeypatch.setattr(sys, "executable", str(Path.cwd() / ".venv" / "bin" / "python"))
    assert refusal(name) == (
        f"engine={name}: needs the package {package!r}, which is not installed; "
        f"install it with: .venv/bin/python -m pip install '.[{name}]'"
    )
    monkeypatch.setattr(sys, "executable", "/opt/a b/python")
    assert refusal(name).endswith(f"with: '/opt/a b/python' -m pip install '.[{name}]'")


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (3, "config.yaml: engine.gpus: expected at most the 2 CUDA devices that this process sees"),
        ([4, 7], "config.yaml: engine.gpus: no CUDA device '7'; visible: 4, 5"),
        (["GPU-x"], "config.yaml: engine.gpus: no CUDA device 'GPU-x'; visible: 4, 5"),
    ],
)
def test_devices_that_do_not_exist(
    asked: object, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    assert refusal("local", gpus=asked).startswith(line)


def test_an_impossible_entry_hides_the_devices_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for named, seen in {"": (), "-1": (), "0, 1": ("0", "1"), "3,-1,4": ("3",)}.items():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
        assert devices.visible() == seen


def test_devices_are_counted_by_their_driver(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    command("nvidia-smi", "echo 'GPU 0: a (UUID: x)'", "echo '  MIG 1g'", "echo 'GPU 1: b'")
    assert devices.visible() == ("0", "1")
    assert devices.chosen(1, "here") == ("0",)
    command("nvidia-smi", "echo 'no driver is running'", "exit 9")
    assert (devices.visible(), devices.memory()) == ((), None)


@pytest.mark.parametrize(
    ("visible", "changes", "expected"),
    [
        ("0,1", {}, (2, 8 << 30, True)),
        ("0,1", {"per_gpu": 2}, (4, 4 << 30, True)),
        ("0,1", {"workers": 3}, (3, 4 << 30, True)),
        ("MIG-x", {}, (1, 8 << 30, False)),
    ],
)
def test_memory_is_that_of_the_smallest_card_shared_by_its_workers(
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    visible: str,
    changes: dict[str, object],
    expected: tuple[int, int, bool],
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    command(
        "nvidia-smi", 'test "$1" = --query-gpu=memory.total || exit 2', "echo 81559; echo 10240"
    )
    found = settings("local", **changes).accelerators
    assert found is not None
    assert (found.workers, found.bytes, found.measured) == expected


def test_of_the_cards_of_other_machines_nothing_is_known() -> None:
    queue, ray = settings("slurm", gpus=1), settings("ray", gpus=2, per_gpu=2, address="head:1")
    assert settings("slurm").accelerators is settings("ray").accelerators is None
    assert queue.accelerators == Accelerators(workers=32, bytes=8 << 30, measured=False)
    assert ray.accelerators == Accelerators(workers=4, bytes=4 << 30, measured=False, sharing=2)


def test_a_ray_of_this_machine_has_its_cards_and_one_elsewhere_says_what_is_not_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-a,MIG-b")
    here = settings("ray", address=None, per_gpu=2)
    assert here.accelerators == Accelerators(workers=4, bytes=4 << 30, measured=False, sharing=2)
    assert here.unknown == ""
    assert settings("ray", address=None, gpus=0).accelerators is None
    there = settings("ray", address="head:1")
    assert there.accelerators is None
    assert there.unknown.startswith("without GPUs: those of the cluster at head:1 are counted when")
    assert settings("ray", address="head:1", gpus=1).unknown == ""
    assert settings("local").unknown == settings("slurm").unknown == ""


@pytest.mark.parametrize(
    ("address", "line"),
    [
        (
            "127.0.0.1:1",
            "engine=ray: no Ray cluster can be used at 127.0.0.1:1: Connection",
        ),
        ("nowhere", "engine=ray: expected an address like host:6379, or auto, found 'nowhere'"),
        ("ray://host:10001", "engine=ray: expected an address like host:6379, or auto, found 'r"),
    ],
)
def test_a_ray_address_where_nothing_is(address: str, line: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        ray_cluster.validate_reachable(address)
    assert str(error.value).startswith(line)


def test_a_machine_without_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    resources = settings("slurm")
    with pytest.raises(ConfigurationError, match="no command 'sbatch' on this machine"):
        slurm_queue.validate_reachable(resources.flags)


def test_slurm_says_itself_why_it_would_not_take_a_job(command: Command, tmp_path: Path) -> None:
    for name in ("srun", "squeue", "scancel"):
        command(name)
    command(
        "sbatch",
        f'echo "$@" > {tmp_path}/asked',
        "echo 'sbatch: error: invalid partition specified: big' >&2",
        "echo 'sbatch: error: Batch job submission failed' >&2",
        "exit 1",
    )
    resources = settings("slurm", partition="big", gpus=2)
    with pytest.raises(ConfigurationError) as error:
        slurm_queue.validate_reachable(resources.flags)
    assert str(error.value) == (
        "engine=slurm: sbatch would take no such job: sbatch: error: invalid partition specified: "
        "big sbatch: error: Batch job submission failed"
    )
    asked = (tmp_path / "asked").read_text().split()
    assert asked == [
        *("--test-only", "--time=60", "--cpus-per-task=1", "--mem=4096M", "--gpus-per-node=2"),
        *("--partition=big", "--wrap=true"),
    ]


def test_a_slurm_that_does_not_answer(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("srun", "squeue", "scancel"):
        command(name)
    command("sbatch", "exec sleep 60")
    assert slurm_queue.PATIENCE < 30
    monkeypatch.setattr(slurm_queue, "PATIENCE", 0.2)
    with pytest.raises(ConfigurationError, match=r"would take no such job: no answer in 0\.2 s"):
        slurm_queue.validate_reachable(settings("slurm").flags)


@pytest.mark.slow
# Ray reads its token once for the whole process, which later connects to the cluster of the tests.
@pytest.mark.usefixtures("ray_token")
def test_an_address_that_answers_but_is_no_ray() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        started = time.monotonic()
        line = refusal("ray", address=address)
    assert time.monotonic() - started < 30
    assert line.startswith(f"engine=ray: no Ray cluster can be used at {address}: ")


@pytest.mark.slow
def test_slurm_without_a_cluster_has_the_devices_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    line = refusal("slurm", executor="local", gpus=2, folder=str(tmp_path))
    assert "expected at most the 1 CUDA devices" in line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"gpus": 3}, "engine.gpus: expected at most the 2 CUDA devices that the cluster has"),
        ({"threads": 64}, "engine.threads: no node of the cluster has 64 CPUs"),
    ],
)
def test_more_than_a_ray_cluster_has(
    ray_cluster: str, changes: dict[str, object], line: str
) -> None:
    assert line in refusal("ray", address=ray_cluster, **changes)
