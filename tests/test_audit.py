"""No locked version is one that a known advisory names; the audit would find one that is."""

from __future__ import annotations

import yaml

from tests.audit import ADVISORIES, affected, locked

KNOWN = yaml.safe_load(ADVISORIES.read_text("utf-8"))["advisories"]


def test_no_locked_version_has_a_known_weakness() -> None:
    versions = locked()
    assert {"torch", "mlflow", "ray", "pytorch-lightning"} <= set(versions)
    assert list(affected(versions, KNOWN)) == []


def test_a_version_with_a_known_weakness_is_named() -> None:
    versions = {"torch": "2.5.1", "pytorch-lightning": "2.6.3", "numpy": "1.0"}
    first, second = affected(versions, KNOWN)
    assert first.startswith("pytorch-lightning 2.6.3: withdrawn: ")
    assert second == "torch 2.5.1: CVE-2025-32434: torch.load runs code (<2.6.0)"
