"""Every declared study is listed with what a profile asks of it, also one that nobody can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ablation_lab.errors import ConfigurationError
from ablation_lab.study.declare import declaration_of, declare
from ablation_lab.study.project import catalogue
from ablation_lab.study.schema import parse_study
from tests.conftest import CONF

STUDY = {
    "title": "Small", "question": "Does it?", "source": "a test", "metric": "success",
    "run": {
        "model": {"family": "linear"}, "data": {"name": "xor"},
        "optimizer": {"name": "sgd", "learning_rate": 0.1}, "training": {"steps": 1},
    },
    "factors": {"rate": {"key": "optimizer.learning_rate", "levels": [0.1, 0.2, 0.3]}},
    "exclude": [{"where": {"rate": 0.3}, "reason": "too fast"}],
    "profiles": {"smoke": {"replicates": 2}, "paper": {"replicates": 5, "needs": "patience"}},
}  # fmt: skip


@pytest.mark.parametrize("profile", ["smoke", "quick", "paper"])
def test_the_list_has_every_study_file(profile: str) -> None:
    listed = catalogue(profile, [CONF])
    assert [entry.study for entry in listed] == sorted(p.stem for p in (CONF / "study").iterdir())
    assert [entry.problem for entry in listed if entry.problem] == []
    assert all(entry.question and entry.runs for entry in listed)
    assert {entry.profile for entry in listed if entry.asked} == {profile}


def test_deep_networks_of_the_paper_profile_say_what_they_need() -> None:
    needs = {entry.study: entry.needs for entry in catalogue("paper", [CONF])}
    for name in ("fitnet4", "cifar10", "resnet"):
        assert needs[name].startswith("an accelerator")
    assert {entry.needs for entry in catalogue("smoke", [CONF]) if entry.asked} == {""}


def test_a_study_is_listed_with_the_runs_that_it_declares() -> None:
    study = parse_study("small", STUDY)
    declared = {name: declare(study, name) for name in ("smoke", "paper")}
    assert [len(entry.runs) for entry in declared.values()] == [4, 10]
    told = {name: declaration_of(entry, {}).needs for name, entry in declared.items()}
    assert told == {"smoke": "", "paper": "patience"}


def test_what_a_profile_needs_is_a_text() -> None:
    profiles = {"paper": {"replicates": 1, "needs": ["a", "list"]}}
    with pytest.raises(ConfigurationError, match=r"profiles\.paper\.needs: expected"):
        parse_study("small", {**STUDY, "profiles": profiles})


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    (tmp_path / "study").mkdir()
    return tmp_path


def write(conf: Path, name: str, content: dict[str, Any] | str) -> None:
    import yaml

    text = content if isinstance(content, str) else yaml.safe_dump({name: content}, sort_keys=False)
    (conf / "study" / f"{name}.yaml").write_text(text, encoding="utf-8")


def test_a_study_that_cannot_be_read_says_so_and_hides_no_other(conf: Path) -> None:
    write(conf, "small", STUDY)
    write(conf, "typing", {**STUDY, "metrik": "success"})
    write(conf, "broken", "broken: [")
    write(conf, "renamed", "other: {}")
    listed = {entry.study: entry for entry in catalogue("paper", [conf])}
    assert sorted(listed) == ["broken", "renamed", "small", "typing"]
    assert (listed["small"].runs, listed["small"].needs) == (10, "patience")
    for name in ("broken", "renamed", "typing"):
        assert listed[name].problem.startswith("its declaration cannot be read: ")
        assert "\n" not in listed[name].problem


def test_a_profile_that_a_study_does_not_have_is_answered_by_its_last(conf: Path) -> None:
    write(conf, "small", STUDY)
    (entry,) = catalogue("quick", [conf])
    assert (entry.asked, entry.profile, entry.runs, entry.needs) == (False, "paper", 10, "patience")
