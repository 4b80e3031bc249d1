"""A store is told what is declared, unless it keeps a study of that name of another project."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ablation_lab.errors import StoreError
from ablation_lab.store.client import Store
from ablation_lab.store.declared import validate_own
from ablation_lab.store.write import Tracker
from ablation_lab.study.declaration import Declaration
from ablation_lab.study.declare import declaration_of, declare
from ablation_lab.study.schema import parse_study

WORDS = {"title": "Another title", "question": "Another question?", "source": "another"}
LEVELS = {
    "width": {"levels": {"w4": {"model.widths": [4]}, "w8": {"model.widths": [8]}}},
}


def description(value: dict[str, Any]) -> Declaration:
    return declaration_of(declare(parse_study("small", value), "smoke"), {})


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({}, False),
        (WORDS, False),
        ({"factors": LEVELS, "baseline": {"width": "w4"}}, False),
        ({**WORDS, "source": "a test", "factors": LEVELS, "baseline": {"width": "w4"}}, False),
        ({**WORDS, "factors": LEVELS, "baseline": {"width": "w4"}}, True),
    ],
)
def test_a_study_with_nothing_in_common_is_that_of_another_project(
    store: str,
    new_declaration: Callable[[], dict[str, Any]],
    changes: dict[str, Any],
    refused: bool,
) -> None:
    mine = description(new_declaration())
    Tracker(store, None).declare("small", "smoke", mine.model_dump(mode="json"))
    other = description({**new_declaration(), **changes})
    if not refused:
        validate_own(Store(store), other)
        return
    with pytest.raises(StoreError, match="'small' is that of another project: 'A title'") as error:
        validate_own(Store(store), other)
    assert "\n" not in str(error.value)


def test_a_store_that_never_heard_of_a_study_takes_it(
    store: str, new_declaration: Callable[[], dict[str, Any]]
) -> None:
    validate_own(Store(store), description(new_declaration()))
