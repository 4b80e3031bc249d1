"""Strict reading: every key is asked for, has its kind, or is an error that says what to do."""

from __future__ import annotations

from typing import Any

import pytest

from ablation_lab.errors import ConfigurationError
from ablation_lab.study.run import Combination
from ablation_lab.study.section import Section


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, int),
        (False, float),
        ("3", int),
        (3.5, int),
        (3, str),
        (None, str),
        ({"a": 1}, list),
        (1, bool),
    ],
)
def test_a_value_of_another_kind_is_refused(value: Any, kind: type) -> None:
    with pytest.raises(ConfigurationError) as error:
        Section({"key": value}, "file: top").take("key", kind)
    assert str(error.value) == f"file: top.key: expected {kind.__name__}, found {value!r}"


def test_a_whole_number_is_a_float() -> None:
    taken = Section({"rate": 1}, "file").take("rate", float)
    assert taken == 1.0
    assert isinstance(taken, float)


def test_null_is_the_default_and_zero_is_not() -> None:
    section = Section({"a": None, "b": 0, "c": ""}, "file")
    assert section.take("a", int, 7) == 7
    assert section.take("b", int, 7) == 0
    assert section.take("c", str, "default") == ""


def test_a_missing_key_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="file: required key 'levels' is missing") as error:
        Section({"level": [1]}, "file").take("levels", list)
    assert "nearest: 'level'" in str(error.value)


def test_close_refuses_what_nobody_asked_for() -> None:
    section = Section({"rate": 1.0, "momentun": 0.9}, "file: optimizer")
    section.take("rate", float)
    section.take("momentum", float, 0.0)
    with pytest.raises(ConfigurationError) as error:
        section.close()
    expected = "file: optimizer: unknown key 'momentun'; nearest: 'momentum'; known: momentum, rate"
    assert str(error.value) == expected


def test_items_asks_for_all() -> None:
    section = Section({"a": 1, 2: "b"}, "file")
    assert section.items() == [("a", 1), ("2", "b")]
    section.close()


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_a_section_is_a_mapping(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"file\.inner: expected a mapping, found"):
        Section({"inner": value}, "file").section("inner")


def test_an_optional_section_may_be_absent_or_null() -> None:
    assert Section({}, "file").section("inner", required=False).items() == []
    assert Section({"inner": None}, "file").section("inner", required=False).items() == []


def test_a_choice_is_a_member() -> None:
    section = Section({"rule": "vote"}, "file")
    assert section.choice("rule", Combination) is Combination.VOTE
    assert section.choice("other", Combination, Combination.VOTE) is Combination.VOTE


def test_a_wrong_choice_names_the_nearest() -> None:
    with pytest.raises(
        ConfigurationError, match=r"file\.rule: unknown value 'votes'; nearest: 'vo"
    ):
        Section({"rule": "votes"}, "file").choice("rule", Combination)
