"""From Hydra's composition to typed settings; every study of ``conf`` under all its profiles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ablation_lab.engines.local import LocalSettings
from ablation_lab.engines.ray import RaySettings
from ablation_lab.engines.slurm import SlurmSettings
from ablation_lab.errors import ConfigurationError
from ablation_lab.runner.composition import compose
from ablation_lab.runner.configuration import Invocation, Now, read
from ablation_lab.study.declare import declaration_of, declare
from ablation_lab.study.factor import labels_of
from ablation_lab.study.project import open_project
from ablation_lab.study.run import Run

CONF = Path(__file__).resolve().parents[2] / "conf"
STUDIES = sorted(path.stem for path in (CONF / "study").glob("*.yaml"))
PROFILES = ["paper", "quick", "smoke"]

Read = Callable[..., Invocation]


@pytest.fixture(scope="module")
def invocation() -> Read:
    """Return a function from command-line overrides to the invocation."""
    project = open_project(CONF.parent)
    return lambda *overrides: read(compose(project, overrides), project)


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_parses_and_expands_under_each_profile(invocation: Read, name: str) -> None:
    call = invocation(f"study={name}")
    (study,) = call.studies
    assert study.name == name
    assert set(study.budgets) <= set(PROFILES)
    assert "smoke" in study.budgets
    for profile in study.budgets:
        declared = declare(study, profile)
        keys = [run.key for run in declared.runs]
        assert len(keys) == len(set(keys)) > 0
        description = declaration_of(declared, {})
        if profile == "paper":
            assert (description.baseline is None) == (not study.baseline)
            bound = [entry for claims in description.references.values() for entry in claims]
            assert len(bound) == len(study.references)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_default_studies_have_every_profile(invocation: Read, profile: str) -> None:
    call = invocation(f"profile={profile}")
    assert call.profile == profile
    assert all(study.budget(profile).replicates.at_least >= 1 for study in call.studies)


def test_defaults_are_typed(invocation: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("ABLATION_DATA", "/somewhere")
    call = invocation("study=xor_depth")
    assert call.profile == "quick"
    assert call.tracking_uri == "sqlite:///runs/mlflow.db"
    assert call.root == Path("/somewhere")
    assert isinstance(call.engine, LocalSettings)
    assert call.engine.threads == 1
    assert call.now == Now()


def test_every_engine_has_a_preset(invocation: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    ray = invocation("engine=ray", "engine.per_gpu=4").engine
    slurm = invocation("engine=slurm", "+engine.options.constraint=a100", "engine.gpus=1").engine
    assert isinstance(ray, RaySettings)
    assert (ray.address, ray.per_gpu, ray.expected_workers) == ("head:6379", 4, None)
    assert isinstance(slurm, SlurmSettings)
    assert slurm.flags == [
        "--time=60",
        "--cpus-per-task=1",
        "--mem=4096M",
        "--gpus-per-node=1",
        "--constraint=a100",
    ]


def test_workers_find_a_relative_data_folder(
    invocation: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ABLATION_DATA", "somewhere")
    assert invocation("study=xor_depth").workers_root == str(Path.cwd() / "somewhere")


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("engine.workers=0", "config.yaml: engine.workers: expected at least 1, found 0"),
        ("engine.threads=-1", "config.yaml: engine.threads: expected at least 1, found -1"),
        ("engine.workers=many", "config.yaml: engine.workers: expected int, found 'many'"),
        ("engine.per_gpu=0", "config.yaml: engine.per_gpu: expected at least 1, found 0"),
        (
            "engine.gpus=-1",
            "config.yaml: engine.gpus: expected a number of CUDA devices, a list of",
        ),
        (
            "engine.gpus=true",
            "config.yaml: engine.gpus: expected a number of CUDA devices, a list ",
        ),
        ("engine.name=lokal", "config.yaml: engine.name: unknown engine 'lokal'; nearest: 'local'"),
        ("+engine.address=here", "config.yaml: engine: unknown key 'address'; nearest: "),
        ("now.replicates=0", "config.yaml: now.replicates: expected at least 1, found 0"),
        ("+now.minuts=1", "config.yaml: now: unknown key 'minuts'; nearest: 'minutes'; known: "),
        (
            "+now.where.dpeth=2",
            "config.yaml: now.where: unknown factor 'dpeth'; nearest: 'depth'; known: depth, ",
        ),
        (
            "+now.where.depth=[2,7]",
            "config.yaml: now.where.depth: unknown level '7'; known: 1, 2, 3, 4, 9",
        ),
        ("+now.where.depth=[]", "config.yaml: now.where.depth: expected at least one level"),
        (
            "+study.xor_depth.factors.depth.rloe=fixed",
            "study/xor_depth.yaml: xor_depth.factors.depth: unknown key 'rloe'; nearest: 'role'",
        ),
    ],
)
def test_a_wrong_option_is_one_line(invocation: Read, override: str, line: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        invocation("study=xor_depth", override)
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["ü", "e\u0301", "a&b;c", "%s #1", "true", "1", "(x) + @y"])
def test_a_study_of_any_name_is_chosen_by_it(
    tmp_path: Path, new_declaration: Callable[[], dict[str, Any]], name: str
) -> None:
    (tmp_path / "conf" / "study").mkdir(parents=True)
    declaration = new_declaration()
    for factor in ("lr (λ, η₀)", "a/b.c"):
        levels = {"$\\lambda=0.1$": {"model.init": "zeros"}, "{{ x }}": {"model.init": "normal"}}
        declaration["factors"] = {factor: {"levels": levels}}
        declaration["baseline"] = {}
        text = yaml.safe_dump({name: declaration}, allow_unicode=True)
        (tmp_path / "conf" / "study" / f"{name}.yaml").write_text(text, encoding="utf-8")
        project = open_project(tmp_path)
        for words in ((), (f"study={name}",), (f"study=[{name}]",), (f"study='{name}'",)):
            assert [each.name for each in read(compose(project, words), project).studies] == [name]
        for level in (*levels, list(levels)):
            where = f"now.where.{factor}={yaml.safe_dump(level, default_flow_style=True)}"
            now = read(compose(project, [where]), project).now
            assert now.where == {factor: tuple(labels_of(level))}


def test_now_selects_levels_and_replicates(make_run: Callable[..., Run]) -> None:
    now = Now(where={"width": ("small", "large")}, replicates=2)
    assert now.wants(make_run(cell="small", replicate=1))
    assert not now.wants(make_run(cell="small", replicate=2))
    assert not now.wants(make_run(cell="tiny", replicate=0))
    # A factor that a cell does not have is no matter.
    assert Now(where={"depth": ("2",)}, replicates=None).wants(make_run(replicate=9))
    assert Now(where={}, replicates=None, minutes=0.1).wants(make_run())
    assert not Now(where={}, replicates=None, minutes=0.0).wants(make_run())
