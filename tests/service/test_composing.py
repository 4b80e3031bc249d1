"""A study composed in the browser: the form follows the text, and the text the form."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from ablation_lab.errors import ConfigurationError
from ablation_lab.service.aside import Aside
from ablation_lab.service.composing import FIRST, begun, changed, form, raised
from ablation_lab.study.schema import parse_study
from tests.service.lab import HOSTILE, Service, study

API = "/api/v1/studies"


def test_a_first_study_grows_field_by_field_into_one_that_is_declared() -> None:
    text = begun(Path("nowhere"), "none")
    for path, typed in [
        ("name", "mine"),
        ("title", "Two: a title, with a colon"),
        ("run/model/activation", "relu"),
        ("factors/act", "{key: model.activation, levels: [relu, tanh]}"),
        ("factors/act/levels", "[relu, tanh, sigmoid]"),
        ("baseline/act", "relu"),
        ("profiles/paper", "{replicates: 30}"),
        ("run/training/batch_size", ""),
    ]:
        text = changed(text, path, typed)
    ((name, content),) = yaml.safe_load(text).items()
    found = parse_study(name, content)
    assert (found.name, found.title) == ("mine", "Two: a title, with a colon")
    assert found.budget("paper").replicates.at_most == 30
    assert content["run"]["training"] == {"epochs": 5}
    shown = form(text)
    assert 'data-path="factors/act/levels" value="[relu, tanh, sigmoid]"' in shown
    assert '<option value="digits">' in shown
    assert "<option>paper</option>" in shown


def test_what_the_form_has_no_field_for_stays_and_texts_stay_texts() -> None:
    asks = [{"question": HOSTILE, "yes_if": "better", "levels": {"width": ["small", "large"]}}]
    name = "first"
    content = yaml.safe_load(FIRST)["my_study"] | {"asks": asks, "title": HOSTILE}
    text = changed(yaml.safe_dump({name: content}), "profiles/quick/replicates", "12")
    content["profiles"]["quick"]["replicates"] = 12
    assert yaml.safe_load(text) == {name: content}
    assert "<script>" not in form(text)


@pytest.mark.parametrize("replicates", [4, {"at_least": 3, "at_most": 4, "until": "decided"}])
def test_more_replicates_are_those_of_one_profile(replicates: object) -> None:
    budgets = {"smoke": {"replicates": replicates}, 7: {"replicates": 1}}
    text = yaml.safe_dump({"a": {"profiles": budgets}})
    spent = yaml.safe_load(raised(text, "smoke", 9))["a"]["profiles"]["smoke"]["replicates"]
    assert spent == (9 if replicates == 4 else {**dict(replicates), "at_most": 9})  # type: ignore[call-overload]
    assert yaml.safe_load(raised(text, "7", 9))["a"]["profiles"][7] == {"replicates": 9}


@pytest.mark.parametrize(
    ("text", "path", "typed", "line"),
    [
        (FIRST, "seed", "[", "seed: expected YAML"),
        (FIRST, "title/of", "3", "expected a mapping above it"),
        ("a: 1\nb: 2", "seed", "3", "expected one top-level key"),
        ("a: [", "seed", "3", "study.yaml"),
        ("a: 3", "seed", "3", "expected a mapping, found 3"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, path: str, typed: str, line: str) -> None:
    with pytest.raises(ConfigurationError, match=line.replace("[", r"\[")) as found:
        changed(text, path, typed)
    assert "\n" not in str(found.value)
    assert "/tmp" not in str(found.value)


def test_a_plug_in_that_was_changed_is_imported_anew(tmp_path: Path) -> None:
    plug_in = tmp_path / "mine_of_aside.py"
    plug_in.write_text("x = 1")
    (tmp_path / "conf" / "study").mkdir(parents=True)
    (tmp_path / "conf" / "config.yaml").write_text("plugins: [mine_of_aside]")
    aside = Aside(tmp_path, ())
    try:
        first = aside.call(os.getpid)
        assert aside.call(os.getpid) == first
        plug_in.write_text("x = = 2")
        with pytest.raises(ConfigurationError, match="'mine_of_aside' cannot be imported"):
            aside.call(os.getpid)
        plug_in.write_text("x = 3")
        assert aside.call(os.getpid) != first
    finally:
        aside.close()


def test_a_form_is_sent_and_a_study_cloned_and_raised(service: Service, done: object) -> None:
    name = service.post(API, json={"tiny": study("To be cloned")}).json()["id"]
    service.post(f"{API}/{name}/cancel")
    assert "title: To be cloned" in service.get("/compose", params={"of": name}).text
    edit = {"text": FIRST, "path": "profiles/quick/replicates", "value": "3"}
    made = service.post("/compose/form", json=edit).json()
    assert 'value="3"' in made["form"]
    would = service.post(f"{API}?validate=true", data=made["text"].encode(),
                         headers={"Content-Type": "application/yaml"}).json()  # fmt: skip
    assert (would["cells"], would["runs"]) == (2, 6)
    assert service.post("/compose/form", json={"text": "["}).status_code == 422
    more = service.post(f"{API}/{name}/replicates", params={"value": 3})
    assert (more.status_code, more.json()["id"] != name) == (201, True)
    assert service.post(f"{API}/{name}/replicates", params={"value": 3}).status_code == 200
    service.post(f"{API}/{more.json()['id']}/cancel")
