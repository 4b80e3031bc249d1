"""A function as a run: what it is given, what comes back, and how it goes wrong."""

from __future__ import annotations

import importlib
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ablation_lab.errors import ConfigurationError
from ablation_lab.study.declare import check_names, declare
from ablation_lab.study.record import Record, Status
from ablation_lab.study.run import TrainerName
from ablation_lab.study.schema import parse_study
from ablation_lab.training.execute import execute
from ablation_lab.training.plan import plan
from lightning_modules.registry import FAMILIES
from tests.training.scripts import STUDY

PLUGIN = """
    import time
    from ablation_lab import family

    @family("own_settings")
    def own_settings(trees: int = 3, *, seed, init: str = "k-means++"):
        return {"acc": trees + (init == "k-means++") / 2, "seed": seed}

    @family("any_setting")
    def any_setting(config, seed, out):
        (out / "model.bin").write_bytes(b"x")
        for step in range(3):
            yield step, {"acc": step * config["scale"]}
        return {"end": config["scale"]}

    @family("raises")
    def raises(config):
        raise ValueError("no such data")

    @family("no_mapping")
    def no_mapping(config):
        return 0.5

    @family("exits")
    def exits(config):
        raise SystemExit(0)

    @family("never_ends")
    def never_ends(config):
        print("begun", flush=True)
        time.sleep(1000)
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "own_functions.py").write_text(textwrap.dedent(PLUGIN))
    sys.path.insert(0, str(folder))
    importlib.import_module("own_functions")
    yield folder
    sys.path.remove(str(folder))
    for name in re.findall(r'@family\("(\w+)"\)', PLUGIN):
        del FAMILIES._things[name]  # other tests look at all that is registered


def record(plugin: Path, family: str, *, factors: Any = None, **limits: float) -> Record:
    run = {"model": {"family": family}, "limits": limits}
    study = parse_study("s", {**STUDY, "run": run, "factors": factors or {"scale": [2]}})
    declared = declare(study, "smoke")
    check_names(declared)
    (stack,) = plan(declared.runs, data_root=None, plugins=("own_functions",), project=plugin)
    assert stack.trainer is TrainerName.FUNCTION
    return execute(stack)[0]


def test_arguments_of_its_own_are_its_settings(plugin: Path) -> None:
    found = record(plugin, "own_settings", factors={"trees": [7]})
    assert found.error == ""
    assert found.metrics["acc"] == 7.5
    assert 0 <= found.metrics["seed"] < 2**31
    assert dict(found.run.config["model"]) == {
        "family": "own_settings",
        "trees": 7,
        "init": "k-means++",
    }


def test_one_that_takes_the_mapping_takes_any_setting_and_may_yield(plugin: Path) -> None:
    found = record(plugin, "any_setting")
    assert found.curves == {"acc": ((0, 0.0), (1, 2.0), (2, 4.0))}
    assert found.metrics == {"end": 2.0}
    assert (Path(found.files) / "out" / "model.bin").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("family", "said"),
    [
        ("raises", "function 'raises' (own_functions.py:18 in raises): exit status 1: ValueError"),
        ("no_mapping", "TypeError: expected a mapping of names to numbers, found 0.5"),
        ("exits", "left no 'acc', and no other value"),
    ],
)
def test_what_goes_wrong_is_a_failed_run(
    plugin: Path, monkeypatch: pytest.MonkeyPatch, family: str, said: str
) -> None:
    monkeypatch.chdir(plugin)
    found = record(plugin, family)
    assert found.status is Status.FAILED
    assert said in found.reason, found.reason


def test_it_has_the_limits_of_a_command(plugin: Path) -> None:
    found = record(plugin, "never_ends", minutes=0.05)
    assert found.reason.startswith("function 'never_ends': ended after 0.05 min (limits.minutes)")
    assert found.error == "begun"


@pytest.mark.parametrize(
    ("run", "factors", "said"),
    [
        ({"model": {"family": "own_settings"}}, {"tree": [1]}, "unknown key 'tree'; nearest: 'tr"),
        ({"model": {"family": "own_settings"}}, {"trees": ["many"]}, "model.trees: expected"),
        (
            {"model": {"family": "own_settings"}, "data": {"name": "digits"}},
            {"trees": {"key": "model.trees", "levels": [1]}},
            "unknown key 'data' of the function 'own_settings'; known: model, limits",
        ),
    ],
)
def test_settings_are_held_against_its_arguments(
    plugin: Path, run: Any, factors: Any, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        declare(parse_study("s", {**STUDY, "run": run, "factors": factors}), "smoke")
