"""The gate over HTTP: the answer of the command line, for whoever may submit, and no paths."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.lab import LONGEST
from tests.service.lab import Service, study
from tests.service.test_api import refused

GATE = "/api/v1/gate"


def candidate(title: str) -> dict[str, Any]:
    """Two widths of XOR, of which nobody has looked at any."""
    return study(title, profiles={"smoke": {"replicates": 6}})


def test_a_declared_candidate_is_answered_as_the_command_line_does(service: Service) -> None:
    asked = {"candidate": {"proposed": candidate("Proposed")}, "ledger": "night"}
    answer = service.post(GATE, json=asked, timeout=LONGEST)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["answer"], found["n"], found["ledger"]) == ("more", 0, "night")
    assert found["candidate"] == "proposed:width=large"
    trained = service.post(GATE, json=asked | {"minutes": 5}, timeout=LONGEST).json()
    assert trained["answer"] in ("accept", "reject")
    assert trained["n"] == 6
    path = service.declare("proposed", candidate("Proposed"))
    typed = service.call("gate", "proposed", "--alpha-ledger", "night", "profile=smoke")
    path.unlink()
    assert json.loads(typed.stdout) == trained


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"candidate": "/etc/passwd.yaml"}, "pattern"),
        ({"candidate": "tiny.yaml"}, "pattern"),
        ({"candidate": "--help"}, "pattern"),
        ({"candidate": "tiny", "against": "../x.yaml"}, "pattern"),
        ({"candidate": "tiny", "metric": "a b"}, "metric"),
        ({"candidate": "tiny", "minutes": 1e9}, "minutes"),
        ({"candidate": "tiny", "more": 1}, "more"),
        ({"candidate": {"x": {"run": {"command": ["id"]}}}}, "no code travels over HTTP"),
        ({"candidate": "tiny", "profile": "smoke", "cell": "width=none"}, "no cell 'width=none'"),
    ],
)
def test_what_a_gate_cannot_be_asked(service: Service, asked: dict[str, Any], line: str) -> None:
    assert line in refused(service.post(GATE, json=asked, timeout=LONGEST), 422)
